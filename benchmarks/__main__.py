"""Run every case, write benchmarks/results.json and docs/benchmarks.md."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .cases import CASES
from .contest import compete
from .environments import ROOT
from .growth import growth
from .meter import meter
from .page import PAGE, page_of
from .passes import passes
from .roofline import roofline

RESULTS = ROOT / "benchmarks" / "results.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each contestant takes its turn")
    parser.add_argument(
        "--only",
        default="",
        help="run only the cases whose name contains this (also growth, roofline, meter, cnfa_cost); keep the others",
    )
    parser.add_argument(
        "--data", type=Path, help="folder with weights/ and imagenet_photos/; adds SqueezeNet to the meter"
    )
    arguments = parser.parse_args()
    measured: dict[str, Callable[[int], dict[str, Any]]] = {
        "roofline": roofline,
        "growth": growth,
        **{case.name: lambda rounds, case=case: compete(case.entries, rounds) for case in CASES},
        "meter": lambda rounds: meter(arguments.data),
        "cnfa_cost": lambda rounds: passes(),
    }
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() and arguments.only else {}
    for name, measure in measured.items():
        if arguments.only in name:
            results[name] = measure(arguments.rounds)
            print(name, json.dumps(results[name]), flush=True)
            results = {known: results[known] for known in measured if known in results}
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            PAGE.write_text(page_of(results))


if __name__ == "__main__":
    main()
