"""Our side of a case, in a process of its own; see `contest` for what it says and hears."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.inputs import RADIAL_PATCH_SIZE, Inputs, inputs
from benchmarks.process import run, serve
from convrfm import kernels
from convrfm.kernels.features import FeatureDraw, FeatureMap

RADIAL = {"laplace": kernels.Laplace, "gaussian": kernels.Gaussian, "matern": kernels.Matern}
FILTERS, POOLING = 1024, 13
POOLED = kernels.Architecture(kernels.Conv(6), kernels.ReLU(), kernels.AvgPool(POOLING), kernels.Flatten())


def work_of(settings: dict) -> Callable[[], Tensor]:
    """What one turn computes."""
    given, task = inputs(settings), settings["task"]
    if task == "features agop":
        features, _, coef = drawn(given)
        return lambda: features.agop(given.at, coef)
    kernel = kernel_of(task.removesuffix(" agop"), settings["depth"])
    if "agop" in task:
        return lambda: kernel.agop(given.at, given.x, given.dual_coef, feature_matrix=given.feature_matrix)
    return lambda: kernel(given.x, given.z, feature_matrix=given.feature_matrix)


def drawn(given: Inputs, n_features: int = FILTERS) -> tuple[FeatureMap, Tensor, Tensor]:
    """Random features of pooled images, their filters, and the coefficients of a predictor."""
    draw = FeatureDraw(n_features, seed=0)
    features = FeatureMap(kernels.NNGP(POOLED), draw, given.x)
    first, _ = draw.network(POOLED, given.x, None, tangent=False)
    coef = torch.randn(features.n_columns, given.dual_coef.shape[1], generator=torch.Generator().manual_seed(1))
    return features, first.filters, coef


def kernel_of(task: str, depth: int) -> kernels.PatchKernel:
    """The kernel that a task is about."""
    if task in RADIAL:
        return RADIAL[task](RADIAL_PATCH_SIZE)
    architecture = (kernels.myrtle if task == "myrtle" else kernels.vanilla)(depth)
    return (kernels.NNGP if task == "nngp" else kernels.NTK)(architecture)


if __name__ == "__main__":
    run(lambda settings: serve(work_of(settings)))
