"""Our side of a case, in a process of its own; see `contest` for what it says and hears."""

from collections.abc import Callable

from torch import Tensor

from benchmarks.inputs import inputs
from benchmarks.process import run, serve
from convrfm import kernels


def work_of(settings: dict) -> Callable[[], Tensor]:
    """What one turn computes."""
    given, task = inputs(settings), settings["task"]
    architecture = (kernels.myrtle if task == "myrtle" else kernels.vanilla)(settings["depth"])
    kernel = (kernels.NNGP if task == "nngp" else kernels.NTK)(architecture)
    if task == "agop":
        return lambda: kernel.agop(given.x, given.x, given.dual_coef, feature_matrix=given.feature_matrix)
    return lambda: kernel(given.x, given.z, feature_matrix=given.feature_matrix)


if __name__ == "__main__":
    run(lambda settings: serve(work_of(settings)))
