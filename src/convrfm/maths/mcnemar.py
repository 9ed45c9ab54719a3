"""Whether two classifiers differ on the same images by more than chance."""

import math

from ..errors import InputError


def mcnemar_test(gained: int, lost: int) -> float:
    """The two-sided exact p-value of McNemar's test (Q. McNemar, 1947), for the same images labelled by two models.

    Images that both get right, or both wrong, say nothing. Between equally good models each of the n = gained + lost others
    falls to either side like a fair coin, so that

        p = min(1, 2 sum_{i <= min(gained, lost)} binomial(n, i) / 2^n) .

    Args:
        gained: how many images only the second model gets right.
        lost: how many only the first one gets right.

    Returns:
        The probability of a difference at least as large between equally good models.

    Raises:
        InputError: if a count is negative.

    Example:
        >>> mcnemar_test(5, 1)
        0.21875
    """
    if gained < 0 or lost < 0:
        raise InputError(f"counts of images must not be negative; got gained={gained}, lost={lost}.")
    n = gained + lost
    tail = sum(math.comb(n, i) for i in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / 2**n)
