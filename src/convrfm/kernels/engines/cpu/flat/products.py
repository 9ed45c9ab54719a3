"""The first covariance of four images x with two blocks of sixteen images z, which share every load."""

from typing import Any

from ....lanes.vectors import LANES, ahead, inlined, item, load, load_broadcast, store, zero

TAPS_AT_ONCE = 72  # places of z under a row of positions and so many taps stay in the first-level cache


@inlined
def add_to(S: Any, p: Any, products: Any, begin: Any, reading: Any) -> None:
    """Some taps' share of scale * x[u]^T z[u] + bias; that of the first taps begins it."""
    products = products * reading.scale
    store(S, p, products + reading.bias if begin == 0 else load(S, p) + products)


@inlined
def products(reading: Any, x: Any, image: Any, last: Any, z: Any, block: Any, S: Any) -> None:
    """scale * x[u]^T z[u] + bias at every position, of four images x with two blocks of sixteen images z.

    Args:
        reading: how images are read.
        x: coefficients `(images, positions, taps)`.
        image, last: the first of the four images; the last of all, which serves for those that are not there.
        z, block: places of lanes, and how many numbers after the first block the second begins.
        S: takes the four fields with the first block, then the four with the second.
    """
    places, count, taps, depth, _, _ = reading
    field, size = count * LANES, count * depth
    first, second = ahead(x, image * size), ahead(x, min(image + 1, last) * size)
    third, fourth = ahead(x, min(image + 2, last) * size), ahead(x, min(image + 3, last) * size)
    for begin in range(0, depth, TAPS_AT_ONCE):
        end = min(begin + TAPS_AT_ONCE, depth)
        for u in range(count):
            here, at, p = item(places, u) * LANES, u * depth, u * LANES
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zero(S)
            for k in range(begin, end):
                tap = here + item(taps, k) * LANES
                a, b = load(z, tap), load(z, block + tap)
                x0, x1 = load_broadcast(first, at + k), load_broadcast(second, at + k)
                x2, x3 = load_broadcast(third, at + k), load_broadcast(fourth, at + k)
                a0, a1, a2, a3 = a0 + a * x0, a1 + a * x1, a2 + a * x2, a3 + a * x3
                b0, b1, b2, b3 = b0 + b * x0, b1 + b * x1, b2 + b * x2, b3 + b * x3
            add_to(S, p, a0, begin, reading)
            add_to(S, p + field, a1, begin, reading)
            add_to(S, p + 2 * field, a2, begin, reading)
            add_to(S, p + 3 * field, a3, begin, reading)
            add_to(S, p + 4 * field, b0, begin, reading)
            add_to(S, p + 5 * field, b1, begin, reading)
            add_to(S, p + 6 * field, b2, begin, reading)
            add_to(S, p + 7 * field, b3, begin, reading)
