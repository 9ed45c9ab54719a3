"""Measure a small member of every family; writes docs/architectures.json, and docs/architectures.md from it.

    python -m benchmarks.architectures [--only NAME] [--again] [--seconds 300] [--gigabytes 6]

Families that were measured are not measured again, so that an interrupted run continues; with --again those of earlier
states of the meter are.
"""

import argparse
import json
from functools import partial
from typing import Any

import torch

from .compare import outcome
from .limited import limited
from .page import RESULTS, write_page
from .state import state_of_the_meter


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


if __name__ == "__main__":
    main()
