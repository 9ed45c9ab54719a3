"""cnn-gp's side of a case: the NNGP of a `vanilla` network."""

import sys
import types

import torch

sys.modules["torchvision"] = types.ModuleType("torchvision")  # its data loaders want it, and are not used

from cnn_gp import Conv2d, ReLU, Sequential  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks.inputs import PATCH_SIZE, inputs  # noqa: E402
from benchmarks.process import run, serve  # noqa: E402
from benchmarks.tiled import kernel_matrix  # noqa: E402


def network(depth: int, side: int) -> Sequential:
    """[Conv(3), ReLU] * depth and a convolution over all that is left, which averages over positions.

    Its ReLU halves the variance, which a weight variance of 2 after it makes good.
    """
    layers = []
    for level in range(depth):
        layers += [Conv2d(PATCH_SIZE, padding=0, var_weight=2.0 if level else 1.0), ReLU()]
    return Sequential(*layers, Conv2d(side - depth * (PATCH_SIZE - 1), padding=0, var_weight=2.0))


def kernel(x: Tensor, z: Tensor | None, depth: int) -> Tensor:
    fn = network(depth, x.shape[2])

    def tile(i: slice, j: slice) -> Tensor:
        return fn(x[i]) if z is None and i == j else fn(x[i], (x if z is None else z)[j], same=False)

    return kernel_matrix(tile, len(x), None if z is None else len(z))


def main(settings: dict) -> None:
    given = inputs(settings)
    with torch.inference_mode():
        serve(lambda: kernel(given.x, given.z, settings["depth"]))


if __name__ == "__main__":
    run(main)
