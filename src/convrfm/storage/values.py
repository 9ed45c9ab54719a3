"""Plain values from text, as strictly as they are meant."""

import json
import math
from typing import Any


def values_from(text: str) -> dict[str, Any]:
    """The object that a text of JSON is, all its numbers finite.

    Raises:
        ValueError: if it is damaged, something else than an object, or holds a number that is not finite.

    >>> values_from('{"error": 0.5}')
    {'error': 0.5}
    """
    try:
        values = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(values, dict):
        raise ValueError(f"it is {type(values).__name__} and not an object")
    return values


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


def _refuse(digits: str) -> float:
    raise ValueError(f"{digits} is not finite")
