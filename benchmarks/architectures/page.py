"""The table of architectures in the documentation."""

from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[2] / "docs" / "architectures.json"
SUITE_SECONDS = 45
"""Of a CPU, for the families that the test suite measures, too."""

HEADING = """# Architectures

Written by `python -m benchmarks.architectures`: a small member of every family of timm and torchvision (a file of models is
a family), random weights, jittered statistics of batch norms and jittered zero layers, two images, float64. Every layer's
AGOP is compared with an independent gradient: all products of the network are computed from unfolded patches, and autograd
differentiates two random sums of the outputs of each image by them. Of some large members the first two blocks are measured,
which their names tell. The error is relative, of products of the AGOP with random vectors; AGOPs below 1e-12 of the network's
largest are compared with that, because they are rounding of an exact zero.

"""


def of_the_suite(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The quickest families, as many as fit into the seconds that the test suite has for them."""
    quickest = sorted((found["seconds"], family) for family, found in results.items() if "layers" in found)
    totals = accumulate(seconds for seconds, _ in quickest)
    return [family for (_, family), total in zip(quickest, totals, strict=True) if total <= SUITE_SECONDS]


def write_page(results: Mapping[str, Mapping[str, Any]], state: str, path: Path) -> None:
    """Counts first, then a line for each family, with the state of the meter that measured it."""
    measured = {family: found for family, found in results.items() if "layers" in found}
    suite = of_the_suite(results)
    layers = sum(found["layers"] for found in measured.values())
    compared = sum(found["compared"] for found in measured.values())
    exact, rounding = (
        [found["worst"] for found in measured.values() if bool(found.get("rounds")) is rounds]
        for rounds in (False, True)
    )
    left_out = sum(found["left_out"] for found in measured.values())
    rounded = f", and {max(rounding):.0e} where a network rounds to float32 inside" if rounding else ""
    summary = (
        f"{len(results)} families, {len(measured)} measured; {layers} layers, {compared} of them compared; largest error "
        f"{max(exact, default=0.0):.0e}{rounded}. {left_out} products were left out, each with a reason. "
        f"{sum(found.get('state') == state for found in measured.values())} of the measured families are of state {state} of "
        "the meter, a digest of the code that measures (benchmarks/architectures/state.py); the last column has the states of "
        f"the others, where they were noted. The quickest {len(suite)} families, each with a star, are measured anew by the "
        "test suite where timm and torchvision are installed (`pytest -m architectures`).\n\n"
    )
    lines = [
        "| family | network | layers | compared | largest error | left out | state |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_line(f"{family} *" if family in suite else family, found) for family, found in sorted(results.items())]
    path.write_text(HEADING + summary + "\n".join(lines) + "\n")


def _line(family: str, found: Mapping[str, Any]) -> str:
    if "layers" not in found:
        reason = found.get("refused") or found.get("failed")
        words = " ".join(str(reason).split())[:200]
        return f"| {family} | {found['name']} | | | | not measured: {words} | {found.get('state', '')} |"
    left_out = "; ".join([*found["skipped"], *["(it rounds to float32 inside)"] * found.get("rounds", False)])
    return (
        f"| {family} | {found['name']}, {found['size']} pixels | {found['layers']} | {found['compared']} | "
        f"{found['worst']:.0e} | {left_out} | {found.get('state', '')} |"
    )
