"""Run every case, write benchmarks/results.json and docs/benchmarks.md."""

import argparse
import json

from .cases import CASES
from .contest import compete
from .environments import ROOT
from .page import write_page

RESULTS = ROOT / "benchmarks" / "results.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each contestant takes its turn")
    parser.add_argument(
        "--only", default="", help="run only the cases whose name contains this; keep the others' results"
    )
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() and arguments.only else {}
    for case in CASES:
        if arguments.only in case.name:
            results[case.name] = compete(case, arguments.rounds)
            print(case.name, json.dumps(results[case.name]), flush=True)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            write_page(results)


if __name__ == "__main__":
    main()
