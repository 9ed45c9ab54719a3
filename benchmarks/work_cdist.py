"""Radial kernels as one would write them in torch in an afternoon, and that side of a case."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import unfold

from benchmarks.inputs import RADIAL_PATCH_SIZE, inputs
from benchmarks.process import run, serve

BANDWIDTH = 10.0
POSITIONS = 16  # at a time: the fastest of 1, 4, 16 and 64
VALUES: dict[str, Callable[[Tensor], Tensor]] = {
    "laplace": lambda d: (-d / BANDWIDTH).exp(),
    "gaussian": lambda d: (-d.square() / (2 * BANDWIDTH**2)).exp(),
    "matern": lambda d: (1 + math.sqrt(3) * d / BANDWIDTH) * (-math.sqrt(3) * d / BANDWIDTH).exp(),
}


def patches(x: Tensor) -> Tensor:
    """`(positions, n, d)`."""
    return unfold(x, RADIAL_PATCH_SIZE).permute(2, 0, 1).contiguous()


def kernel(task: str, x: Tensor, z: Tensor | None = None) -> Tensor:
    """The mean over positions of a function of the distance."""
    left = patches(x)
    right = left if z is None else patches(z)
    total = x.new_zeros(left.shape[1], right.shape[1])
    for f, g in zip(left.split(POSITIONS), right.split(POSITIONS), strict=True):
        total += VALUES[task](torch.cdist(f, g)).sum(0)
    return total / len(left)


def laplace_agop(at: Tensor, x: Tensor, coef: Tensor) -> Tensor:
    """The AGOP of `kernel(at, x) @ coef` with respect to the patches of `at`."""
    left, right = patches(at), patches(x)
    total = x.new_zeros(left.shape[2], left.shape[2])
    for f, g in zip(left.split(POSITIONS), right.split(POSITIONS), strict=True):
        distances = torch.cdist(f, g)
        slopes = torch.where(distances > 0, (-distances / BANDWIDTH).exp() / (BANDWIDTH * distances), 0)
        gradients = torch.einsum("pnm,mk,pmd->pnkd", slopes, coef, g) - torch.einsum(
            "pnm,mk,pnd->pnkd", slopes, coef, f
        )
        total += torch.einsum("pnkd,pnke->de", gradients, gradients)
    return total / len(left) ** 2 / len(at)


def main(settings: dict) -> None:
    given, task = inputs(settings), settings["task"]

    def work() -> Tensor:
        if task == "laplace agop":
            return laplace_agop(given.at, given.x, given.dual_coef)
        return kernel(task, given.x, given.z)

    with torch.inference_mode():
        serve(work, given.share)


if __name__ == "__main__":
    run(main)
