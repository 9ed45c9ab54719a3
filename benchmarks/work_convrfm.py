"""Our side of a case, in a process of its own; see `contest` for what it says and hears."""

from collections.abc import Callable

from torch import Tensor

from benchmarks.inputs import RADIAL_PATCH_SIZE, inputs
from benchmarks.process import run, serve
from convrfm import kernels

RADIAL = {"laplace": kernels.Laplace, "gaussian": kernels.Gaussian, "matern": kernels.Matern}


def work_of(settings: dict) -> Callable[[], Tensor]:
    """What one turn computes."""
    given, task = inputs(settings), settings["task"]
    kernel = kernel_of(task.removesuffix(" agop"), settings["depth"])
    if "agop" in task:
        return lambda: kernel.agop(given.at, given.x, given.dual_coef, feature_matrix=given.feature_matrix)
    return lambda: kernel(given.x, given.z, feature_matrix=given.feature_matrix)


def kernel_of(task: str, depth: int) -> kernels.PatchKernel:
    """The kernel that a task is about."""
    if task in RADIAL:
        return RADIAL[task](RADIAL_PATCH_SIZE)
    architecture = (kernels.myrtle if task == "myrtle" else kernels.vanilla)(depth)
    return (kernels.NNGP if task == "nngp" else kernels.NTK)(architecture)


if __name__ == "__main__":
    run(lambda settings: serve(work_of(settings)))
