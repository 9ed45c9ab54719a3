"""The kernels of deep models, as the experiments take them."""

from ..kernels import NTK, vanilla

MEMORY = 3 * 2**30  # bytes: images of 64 channels are embedded once, and kept
RANK_TOLERANCE = 1e-4  # of the trace of M: most of the 576 directions of a patch of features carry less


def kernel_family(depth: int) -> NTK:
    """The paper's networks, with memory for images of many channels."""
    return NTK(vanilla(depth), memory_budget=MEMORY, rank_tolerance=RANK_TOLERANCE)
