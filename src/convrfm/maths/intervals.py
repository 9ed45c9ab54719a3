"""Confidence intervals of a proportion, such as a test accuracy, and of a mean over repetitions."""

import math
from statistics import NormalDist

import numpy as np
from jaxtyping import Float
from scipy import stats

from ..errors import InputError


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    r"""Wilson's score interval of a proportion (E. B. Wilson, 1927).

    With p = successes / n and z the two-sided normal quantile of the confidence, the two ends are

        (p + z^2/2n -+ z sqrt(p (1-p)/n + z^2/4n^2)) / (1 + z^2/n).

    Unlike p -+ z sqrt(p (1-p)/n) it stays inside [0, 1] and is sensible at p = 0 and p = 1.

    Args:
        successes: How many of the n trials succeeded, 0 to n.
        n: How many trials there were, at least one.
        confidence: Coverage of the interval, strictly between 0 and 1.

    Returns:
        The lower and the upper end, both in [0, 1].

    Raises:
        InputError: If the counts or the confidence are out of range.

    Example:
        >>> low, high = wilson_interval(874, 1000)
        >>> f"{low:.3f} to {high:.3f}"
        '0.852 to 0.893'
    """
    if n < 1 or not 0 <= successes <= n:
        raise InputError(f"successes must be 0 to n and n at least 1; got successes={successes}, n={n}.")
    if not 0.0 < confidence < 1.0:
        raise InputError(f"confidence must be strictly between 0 and 1, such as 0.95; got {confidence}.")
    z = NormalDist().inv_cdf((1.0 + confidence) / 2.0)
    p = successes / n
    center = p + z**2 / (2 * n)
    half_width = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    low = 0.0 if successes == 0 else (center - half_width) / scale
    high = 1.0 if successes == n else (center + half_width) / scale
    return low, high


def difference_interval(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float]:
    r"""Newcombe's 95% interval of the difference of two independent proportions (R. G. Newcombe, 1998; his tenth method).

    With p the proportions and l, u the ends of their Wilson intervals it is

        p1 - p2 - sqrt((p1 - l1)^2 + (u2 - p2)^2)   to   p1 - p2 + sqrt((u1 - p1)^2 + (p2 - l2)^2).

    Args:
        first: How many succeeded, of how many trials.
        second: Likewise; its proportion is subtracted.

    Returns:
        The lower and the upper end, both in [-1, 1].

    Raises:
        InputError: If counts are out of range.
    """
    (low, high), (other_low, other_high) = wilson_interval(*first), wilson_interval(*second)
    p, other = first[0] / first[1], second[0] / second[1]
    return (
        p - other - math.hypot(p - low, other_high - other),
        p - other + math.hypot(high - p, other - other_low),
    )


FEWEST_REPETITIONS = 3  # of two, Student's interval is nine times as wide as they lie apart


def mean_interval(values: Float[np.ndarray, " n"], confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval of a mean, such as that of accuracies over seeds; NaN of fewer than three values."""
    if len(values) < FEWEST_REPETITIONS:
        return math.nan, math.nan
    reach = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * stats.sem(values)
    return float(values.mean() - reach), float(values.mean() + reach)


def above_zero(values: Float[np.ndarray, " n"]) -> bool | None:
    """Whether the interval of a mean is above 0 or below it; None where it holds 0, or there are too few values for any."""
    low, high = mean_interval(values)
    return True if low > 0 else False if high < 0 else None


def with_intervals(n: int) -> str:
    """What a caption adds to means, or differences, of n draws: their intervals, or that n is too small for any."""
    return " with Student's 95% intervals" if n >= FEWEST_REPETITIONS else ", too few for intervals"


def means_over(n: int, what: str = "draw") -> str:
    """What a caption says of means over n draws.

    Example:
        >>> means_over(5)
        "means over 5 draws with Student's 95% intervals"
        >>> means_over(2, "seed")
        'means over 2 seeds, too few for intervals'
        >>> means_over(1, "seed")
        'one seed'
    """
    return f"one {what}" if n == 1 else f"means over {n} {what}s{with_intervals(n)}"


def mean_with_interval(values: Float[np.ndarray, " n"], *, signed: bool = False, decimals: int = 1) -> str:
    """The mean over seeds, images or data sets and its interval as text; equal values have none, nor have fewer than three."""
    form = f"+z.{decimals}f" if signed else f".{decimals}f"  # z: no negative zero
    mean = f"{values.mean():{form}}"
    if len(values) < FEWEST_REPETITIONS:
        return mean
    if np.ptp(values) == 0:
        return f"{mean} (each time)"
    low, high = mean_interval(values)
    return f"{mean} ({low:{form}} to {high:{form}})"


def interval_words(values: Float[np.ndarray, " n"]) -> str:
    """The interval of a mean over seeds as words, or that there are too few of them."""
    if len(values) < FEWEST_REPETITIONS:
        return f"too few seeds for an interval: {len(values)}"
    low, high = mean_interval(values)
    return f"95% interval {low:.1f} to {high:.1f}"
