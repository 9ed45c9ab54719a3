"""The table of architectures in the documentation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

HEADING = """# Architectures

Written by `python -m benchmarks.architectures`: a small member of every family of timm and torchvision (a file of models is
a family), random weights, jittered statistics of batch norms and jittered zero layers, two images, float64. Every layer's
AGOP is compared with an independent gradient: all products of the network are computed from unfolded patches, and autograd
differentiates two random sums of the outputs of each image by them. The error is relative, of products of the AGOP with random
vectors; AGOPs below 1e-12 of the network's largest are compared with that, because they are rounding of an exact zero.

"""


def write_page(results: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Counts first, then a line for each family."""
    measured = {family: found for family, found in results.items() if "layers" in found}
    layers = sum(found["layers"] for found in measured.values())
    compared = sum(found["compared"] for found in measured.values())
    worst = max((found["worst"] for found in measured.values()), default=0.0)
    summary = (
        f"{len(results)} families, {len(measured)} measured; {layers} layers, {compared} of them compared; largest error "
        f"{worst:.0e}. {sum(found['left_out'] for found in measured.values())} products were left out, each with a reason. "
        f"{sum('commit' in found for found in results.values())} families are of the commits that architectures.json notes, "
        "the others of earlier states of the meter.\n\n"
    )
    lines = [
        "| family | network | layers | compared | largest error | left out |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_line(family, found) for family, found in sorted(results.items())]
    path.write_text(HEADING + summary + "\n".join(lines) + "\n")


def _line(family: str, found: Mapping[str, Any]) -> str:
    if "layers" not in found:
        reason = found.get("refused") or found.get("failed")
        return f"| {family} | {found['name']} | | | | not measured: {' '.join(str(reason).split())[:200]} |"
    left_out = "; ".join(found["skipped"])
    return (
        f"| {family} | {found['name']}, {found['size']} pixels | {found['layers']} | {found['compared']} | "
        f"{found['worst']:.0e} | {left_out} |"
    )
