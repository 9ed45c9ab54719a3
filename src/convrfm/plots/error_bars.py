"""How far the intervals of means reach, as matplotlib draws them."""

import math
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from ..maths.intervals import mean_interval

FRACTIONS = (0.0, 1.0)


def error_bars(
    samples: Iterable[Float[np.ndarray, " _"]], within: tuple[float, float] = (-math.inf, math.inf)
) -> Float[np.ndarray, "2 places"] | None:
    """The reach of Student's 95% intervals below and above means; NaN, which is not drawn, of fewer than three values.

    None where no place has three, so that the legend shows no interval either.

    Args:
        samples: The values at every place, in numbers that may differ.
        within: The least and the largest that such a mean can be: no interval is drawn beyond.
    """
    found = list(samples)
    ends = np.array([mean_interval(values) for values in found]).T.clip(*within)
    return None if np.isnan(ends).all() else np.abs(ends - [values.mean() for values in found])
