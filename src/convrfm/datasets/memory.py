"""Whether images will fit into memory, found out from their sizes before they are read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError
from ..kernels.devices import free_memory
from ..quantities import size
from .pictures import Picture

FLOAT_BYTES = 4  # of a pixel that a model takes, beside the one that was read


def check_memory(what: str, n: int, shape: Sequence[int], itemsize: int) -> None:
    """Raise `InputError` unless `n` images of this shape fit into memory, as they are stored and as floats."""
    remedy = "Take fewer, or smaller ones (image_size, for pictures)."
    check_fits(what, n * math.prod(shape) * (itemsize + FLOAT_BYTES), remedy)


def check_fits(what: str, needed: int, remedy: str) -> None:
    """Raise `InputError` unless so many bytes are free."""
    if needed > (free := free_memory()):
        raise InputError(f"{what} must fit into memory; they need {size(needed)} and {size(free)} are free. {remedy}")


@dataclass
class Growing:
    """Pictures that are read one after the other, of which later ones may be larger.

    Attributes:
        what: they are, in words.
        largest: bytes that one of them has taken so far.
    """

    what: str
    largest: int = 0

    def check(self, picture: Picture, left: int) -> None:
        """Raise `InputError` if this one is larger than all before, and as many of its size as are left do not fit."""
        if picture.nbytes > self.largest:
            self.largest = picture.nbytes
            check_memory(self.what, left, picture.shape, picture.itemsize)
