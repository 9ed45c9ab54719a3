"""Measure a small member of every family; writes docs/architectures.json, and docs/architectures.md from it.

    python -m benchmarks.architectures [--only NAME] [--again] [--seconds 300] [--gigabytes 6]

Families that were measured are not measured again, so that an interrupted run continues; with --again those of earlier
states of the meter are.
"""

import argparse
import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import torch

from .compare import outcome
from .limited import limited
from .page import write_page

RESULTS = Path(__file__).parents[2] / "docs" / "architectures.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.architectures", description=__doc__)
    parser.add_argument("--only", default="", help="only families whose name contains this")
    parser.add_argument(
        "--again", action="store_true", help="also families that an earlier state of the meter measured"
    )
    parser.add_argument("--seconds", type=int, default=300, help="the most that one family may take of a CPU")
    parser.add_argument("--gigabytes", type=float, default=6, help="the most memory that one family may take")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():  # torchvision's wheel needs CUDA for operators that are not called here
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from .families import families, smallest

    state = state_of_the_meter()
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    write_page(results, state, RESULTS.with_suffix(".md"))
    for family, members in families().items():
        known = results.get(family, {})
        measured = "layers" in known and (known.get("state") == state or not arguments.again)
        if arguments.only not in family or measured:
            continue
        name = known["name"] if "layers" in known else smallest(members)[0]
        found = limited(partial(outcome, dict(members)[name]), arguments.seconds, arguments.gigabytes)
        results[family] = {"name": name, "state": state, **found}
        print(family, json.dumps(results[family]), flush=True)
        RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n")
        write_page(results, state, RESULTS.with_suffix(".md"))


def state_of_the_meter() -> str:
    """The tree of its folder in git, which all commits share that leave it as it is."""

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=RESULTS.parents[1]).stdout

    if git("status", "--porcelain", "src/convrfm/cnfa"):
        raise SystemExit(
            "src/convrfm/cnfa has changes that are not committed: commit them, so that rows can name them."
        )
    return git("rev-parse", "--short=8", "HEAD:src/convrfm/cnfa").strip()


if __name__ == "__main__":
    main()
