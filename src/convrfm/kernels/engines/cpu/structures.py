"""What compiled functions hand each other: a few addresses and numbers, by name.

A recursion carries two rows of columns side by side, `Fields`: the covariance S and the tangent covariance T, sixteen lanes a
column. `Sides` are the norms that a `Dual` asks for, `Window` and `Gather` what comes after it, `Tables` where both are
read from; `Incoming` is a row on its way from a window to the next activation.
"""

from typing import Any, NamedTuple

from ...lanes.vectors import LANES, abreast, address, ahead, inlined, item
from .tables import BIAS, FAMILY, FIRST_CONSTANT, GAIN, SECOND_CONSTANT, WEIGHT


class Fields(NamedTuple):
    """Where S and T stand, or what takes their places; T is not read where only S is asked for."""

    S: Any
    T: Any


class Sides(NamedTuple):
    """Where norms and inverse roots stand, of one image x and of sixteen images z."""

    x_norm: Any
    x_inverse: Any
    z_norm: Any
    z_inverse: Any


class Dual(NamedTuple):
    """An activation: its family's number and constants."""

    kind: Any
    first: Any
    second: Any


class Window(NamedTuple):
    """A window mean: S' = weight * sum(K) + bias, T' = gain * S' + weight * sum(T).

    Attributes:
        weight, bias, gain: of these formulas.
        starts: whether T is not there before the window.
        tangent: whether T is asked for at all.
    """

    weight: Any
    bias: Any
    gain: Any
    starts: Any
    tangent: Any


class Tables(NamedTuple):
    """Where the tables of windows stand; see `TableWriter`."""

    bounds: Any
    sources: Any


class Gather(NamedTuple):
    """The table of a window along columns.

    Attributes:
        table: where it begins.
        count: how many columns it makes.
        threes, after_threes: which of them sum three neighbors, one further than the column before.
    """

    table: Any
    count: Any
    threes: Any
    after_threes: Any


class Incoming(NamedTuple):
    """A row of S and T on its way to an activation.

    Attributes:
        fields: the row itself, or rows of sums along columns.
        is_summed: whether three of these are still to be summed.
        a, b, c: where the three begin.
        window: what is done to their sum.
    """

    fields: Fields
    is_summed: Any
    a: Any
    b: Any
    c: Any
    window: Window


class Columns(NamedTuple):
    """The columns first..last, `step` of them at once, as many as the addresses load."""

    first: Any
    last: Any
    step: Any


@inlined
def two_of(array: Any, first: Any) -> Any:
    """Two rows of an array, one after the other."""
    begin = ahead(address(array), first * array.shape[1])
    return Fields(begin, ahead(begin, array.shape[1]))


@inlined
def fields_from(fields: Any, place: Any) -> Any:
    """The same from a place on."""
    return Fields(ahead(fields.S, place), ahead(fields.T, place))


@inlined
def sides_from(sides: Any, u: Any, v: Any) -> Any:
    """The same from position u of x and position v of the images z on."""
    return Sides(
        ahead(sides.x_norm, u),
        ahead(sides.x_inverse, u),
        ahead(sides.z_norm, v * LANES),
        ahead(sides.z_inverse, v * LANES),
    )


@inlined
def fields_abreast(fields: Any) -> Any:
    """The same, two columns at once."""
    return Fields(abreast(fields.S), abreast(fields.T))


@inlined
def sides_abreast(sides: Any) -> Any:
    """The same, two columns at once."""
    return Sides(abreast(sides.x_norm), abreast(sides.x_inverse), abreast(sides.z_norm), abreast(sides.z_inverse))


@inlined
def dual_of(step: Any, number: Any) -> Any:
    """The activation of a step."""
    return Dual(item(step, FAMILY), item(number, FIRST_CONSTANT), item(number, SECOND_CONSTANT))


@inlined
def window_after(number: Any, starts: Any, tangent: Any) -> Any:
    """The window of the step with these numbers."""
    return Window(item(number, WEIGHT), item(number, BIAS), item(number, GAIN), starts, tangent)


class Reading(NamedTuple):
    """How the first covariance reads images: scale * sum over taps k of x[u, k] z[places[u] + taps[k]] + bias.

    Attributes:
        places, count: where each of `count` positions of z begins.
        taps, depth: how far each of `depth` taps is from there.
        scale, bias: factor on the sum, and what is added to it.
    """

    places: Any
    count: Any
    taps: Any
    depth: Any
    scale: Any
    bias: Any


@inlined
def reading_of(taps: Any) -> Any:
    """The same from arrays; see `Taps`."""
    places, offsets, _, scale, bias = taps
    return Reading(address(places), len(places), address(offsets), len(offsets), scale, bias)
