"""The engine's vectors in plain Python, which count the arithmetic and the traffic of whatever runs on them.

It answers to the names of `convrfm.kernels.lanes.vectors`. A process that puts it in that module's place before the
engine is imported runs the engine's own source, uncompiled, to the same values. Additions, subtractions,
multiplications, divisions and square roots count one each for every lane; a multiplication and an addition that the
compiler contracts count two. Comparisons, selections and magnitudes are not counted.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

LANES = 16
COUNTED: Counter[str] = Counter()
"""`operations`, and `bytes` that loads and stores of the lanes moved."""


class Address(NamedTuple):
    flat: np.ndarray
    place: int
    columns: int = 1

    @property
    def dtype(self) -> np.dtype:
        return self.flat.dtype


class Lanes:
    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers = numbers

    def _with(self, other: Any, operation: Callable[[Any, Any], np.ndarray]) -> "Lanes":
        COUNTED["operations"] += self.numbers.size
        with np.errstate(divide="ignore", invalid="ignore"):
            return Lanes(operation(self.numbers, other.numbers if isinstance(other, Lanes) else other))

    def __add__(self, other: Any) -> "Lanes":
        return self._with(other, np.add)

    def __sub__(self, other: Any) -> "Lanes":
        return self._with(other, np.subtract)

    def __mul__(self, other: Any) -> "Lanes":
        return self._with(other, np.multiply)

    def __truediv__(self, other: Any) -> "Lanes":
        return self._with(other, np.divide)

    def __rsub__(self, other: Any) -> "Lanes":
        return self._with(other, lambda a, b: np.subtract(b, a))

    __radd__, __rmul__ = __add__, __mul__


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


inlined = entry = compiled


def address(array: np.ndarray) -> Address:
    return Address(array.reshape(-1), 0)


def ahead(start: Address, count: int) -> Address:
    return start._replace(place=start.place + int(count))


def abreast(start: Address) -> Address:
    return start._replace(columns=2)


def item(start: Address, place: int) -> Any:
    return start.flat[start.place + place]


def put(start: Address, place: int, number: Any) -> None:
    start.flat[start.place + place] = number


def load(start: Address, place: int) -> Lanes:
    first = start.place + place
    numbers = start.flat[first : first + start.columns * LANES].copy()
    COUNTED["bytes"] += numbers.nbytes
    return Lanes(numbers)


def load_broadcast(start: Address, place: int) -> Lanes:
    first = start.place + place
    COUNTED["bytes"] += start.columns * start.dtype.itemsize
    return Lanes(np.repeat(start.flat[first : first + start.columns], LANES))


def store(start: Address, place: int, value: Lanes) -> None:
    first = start.place + place
    COUNTED["bytes"] += value.numbers.nbytes
    start.flat[first : first + value.numbers.size] = value.numbers


def broadcast(scalar: Any) -> Lanes:
    return Lanes(np.full(LANES, scalar))


def zero(like: Lanes | Address) -> Lanes:
    return Lanes(np.zeros(LANES, like.dtype) if isinstance(like, Address) else np.zeros_like(like.numbers))


def where_less(a: Lanes, b: Lanes, then: Lanes, otherwise: Lanes) -> Lanes:
    return Lanes(np.where(a.numbers < b.numbers, then.numbers, otherwise.numbers))


def magnitude(a: Lanes) -> Lanes:
    return Lanes(np.abs(a.numbers))


def square_root(a: Lanes) -> Lanes:
    COUNTED["operations"] += a.numbers.size
    return Lanes(np.sqrt(a.numbers))


def polynomial(single: Sequence[float], double: Sequence[float]) -> Callable[[Lanes], Lanes]:
    by_width = {4: single, 8: double}

    def horner(a: Lanes) -> Lanes:
        coefficients = by_width[a.numbers.itemsize]
        value = Lanes(np.full_like(a.numbers, coefficients[-1]))
        for c in reversed(coefficients[:-1]):
            value = value * a + c
        return value

    return horner
