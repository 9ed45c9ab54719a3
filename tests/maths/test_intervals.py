import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from convrfm.errors import InputError
from convrfm.maths.intervals import (
    above_zero,
    difference_interval,
    interval_words,
    mean_interval,
    mean_with_interval,
    wilson_interval,
)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (1, 3), (874, 1000)])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_agrees_with_scipy(successes: int, n: int, confidence: float) -> None:
    scipy_interval = binomtest(successes, n).proportion_ci(confidence_level=confidence, method="wilson")
    assert wilson_interval(successes, n, confidence) == pytest.approx(tuple(scipy_interval), abs=1e-12)


def test_stays_inside_zero_and_one() -> None:
    assert wilson_interval(0, 20)[0] == 0.0
    assert wilson_interval(20, 20)[1] == 1.0


@pytest.mark.parametrize(("successes", "n", "confidence"), [(1, 0, 0.95), (-1, 5, 0.95), (6, 5, 0.95), (1, 5, 1.0)])
def test_impossible_counts_are_refused(successes: int, n: int, confidence: float) -> None:
    with pytest.raises(InputError, match="must be"):
        wilson_interval(successes, n, confidence)


@pytest.mark.parametrize(
    ("first", "second", "published"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((10, 10), (0, 20), (0.6791, 1.0000)),
    ],
)
def test_the_interval_of_a_difference_is_newcombe_s(
    first: tuple[int, int], second: tuple[int, int], published: tuple[float, float]
) -> None:
    """Table II of his paper, method 10."""
    assert difference_interval(first, second) == pytest.approx(published, abs=6e-5)
    low, high = difference_interval(second, first)
    assert (-high, -low) == pytest.approx(published, abs=6e-5)


def test_the_interval_of_a_mean_is_that_of_the_t_test() -> None:
    values = np.array([0.2, 1.5, 0.7, 0.1])
    assert mean_interval(values) == pytest.approx(tuple(ttest_1samp(values, 0.0).confidence_interval()))


def test_equal_values_leave_no_doubt() -> None:
    assert mean_interval(np.array([2.0, 2.0, 2.0])) == (2.0, 2.0)


def test_fewer_than_three_values_have_no_interval_and_decide_nothing() -> None:
    for few in (np.array([3.0]), np.array([3.0, 3.1])):
        assert np.isnan(mean_interval(few)).all()
        assert above_zero(few) is None


@pytest.mark.parametrize(
    ("values", "above"),
    [((3.0, 3.1, 3.2), True), ((-3.0, -3.1, -3.2), False), ((-9.0, 3.1, 3.2), None), ((-3.2, -3.1, 9.0), None)],
)
def test_an_interval_that_holds_zero_decides_nothing(values: tuple[float, ...], above: bool | None) -> None:
    assert above_zero(np.array(values)) is above


def test_fewer_than_three_seeds_have_no_interval_in_words() -> None:
    """Student's interval of two is far beyond what percentages can be."""
    few, more = np.array([20.0, 40.0]), np.array([20.0, 40.0, 30.0])
    low, high = mean_interval(more)
    assert interval_words(few) == "too few seeds for an interval: 2"
    assert interval_words(more) == f"95% interval {low:.1f} to {high:.1f}"
    assert mean_with_interval(few) == "30.0"
    assert mean_with_interval(more) == f"30.0 ({low:.1f} to {high:.1f})"


def test_values_that_are_equal_have_no_interval_in_words_whatever_they_are_of() -> None:
    """Seeds, photographs or data sets."""
    assert mean_with_interval(np.array([20.0, 20.0, 20.0])) == "20.0 (each time)"
