"""Deviations, slopes and frequencies: real numbers, whatever kind they come as."""

import math
from numbers import Real
from typing import Any

from ..errors import InputError


def is_finite(value: Any) -> bool:
    """Whether it is a real number that floats hold, NumPy's too.

    >>> is_finite(0.1), is_finite(10**400), is_finite(True)
    (True, False, False)
    """
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def check_finite(**numbers: Any) -> None:
    """Raise `InputError` for the first, by its name, that is no finite number."""
    for name, value in numbers.items():
        if not is_finite(value):
            raise InputError(f"{name} must be a finite number; got {value!r}.")
