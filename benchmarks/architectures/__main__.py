"""Measure a small member of every family; writes docs/architectures.json, and docs/architectures.md from it.

    python -m benchmarks.architectures [--only NAME] [--again] [--seconds 300]

Families that the file has are not measured again, so that an interrupted run continues.
"""

import argparse
import json
import signal
import subprocess
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch

from .compare import outcome
from .page import write_page

RESULTS = Path(__file__).parents[2] / "docs" / "architectures.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.architectures", description=__doc__)
    parser.add_argument("--only", default="", help="only families whose name contains this")
    parser.add_argument("--again", action="store_true", help="measure families again that the file has")
    parser.add_argument("--seconds", type=int, default=300, help="the most that one family may take")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():  # torchvision's wheel needs CUDA for operators that are not called here
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from .families import families, smallest

    describe = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(describe, stdout=subprocess.PIPE, text=True, check=True, cwd=RESULTS.parent).stdout.strip()
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for family, members in families().items():
        known = results.get(family, {})
        if arguments.only not in family or ("layers" in known and not arguments.again):
            continue
        by_name = dict(members)
        name = known.get("name") or smallest(members)[0]
        results[family] = {"name": name, "commit": commit, **limited(by_name[name], arguments.seconds)}
        print(family, json.dumps(results[family]), flush=True)
        RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n")
        write_page(results, RESULTS.with_suffix(".md"))


def limited(build: Any, seconds: int) -> dict[str, Any]:
    """The outcome, or what kept it from coming."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"took longer than {seconds} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        with warnings.catch_warnings(action="ignore"):
            return outcome(build)
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"}
    finally:
        signal.alarm(0)


if __name__ == "__main__":
    main()
