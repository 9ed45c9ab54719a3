"""Whether images will fit into memory, found out from their sizes before they are read."""

import math
from collections.abc import Sequence

from ..errors import InputError
from ..kernels.devices import free_memory
from ..quantities import size

FLOAT_BYTES = 4  # of a pixel that a model takes, beside the one that was read


def check_memory(what: str, n: int, shape: Sequence[int], itemsize: int) -> None:
    """Raise `InputError` unless `n` images of this shape fit into memory, as they are stored and as floats."""
    remedy = "Take fewer, or smaller ones (image_size, for pictures)."
    check_fits(what, n * math.prod(shape) * (itemsize + FLOAT_BYTES), remedy)


def check_fits(what: str, needed: int, remedy: str) -> None:
    """Raise `InputError` unless so many bytes are free."""
    if needed > (free := free_memory()):
        raise InputError(f"{what} must fit into memory; they need {size(needed)} and {size(free)} are free. {remedy}")
