"""Sizes and counts, whatever kind of integer they come as."""

from numbers import Integral
from typing import Any

from ..errors import InputError

LARGEST = 2**63 - 1


def positive_integer(name: str, value: Any) -> int:
    """The value as Python's integer, NumPy's too; raises `InputError` unless it is one of at least 1 that 64 bits hold.

    >>> import numpy as np
    >>> positive_integer("size", np.int64(3))
    3
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise InputError(f"{name} must be a positive integer; got {value!r}.")
    if int(value) > LARGEST:
        raise InputError(f"{name} must be at most {LARGEST:.0e}, which 64 bits hold; got {value!r}.")
    return int(value)
