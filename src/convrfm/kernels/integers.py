"""Sizes and counts, whatever kind of integer they come as."""

from numbers import Integral
from typing import Any

from ..errors import InputError

LARGEST = 2**63 - 1


def natural_number(name: str, value: Any) -> int:
    """The value as Python's integer; raises `InputError` unless it is one of at least 0 that 64 bits hold.

    >>> natural_number("resamples", 0)
    0
    """
    return _integer(name, value, 0, "an integer of at least 0")


def positive_integer(name: str, value: Any) -> int:
    """The value as Python's integer, NumPy's too; raises `InputError` unless it is one of at least 1 that 64 bits hold.

    >>> import numpy as np
    >>> positive_integer("size", np.int64(3))
    3
    """
    return _integer(name, value, 1, "a positive integer")


def _integer(name: str, value: Any, least: int, wanted: str) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise InputError(f"{name} must be {wanted}; got {value!r}.")
    if int(value) > LARGEST:
        raise InputError(f"{name} must be at most {LARGEST:.0e}, which 64 bits hold; got {value!r}.")
    return int(value)
