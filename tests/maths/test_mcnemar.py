import pytest
from scipy.stats import binomtest

from convrfm.errors import InputError
from convrfm.maths.mcnemar import mcnemar_test


@pytest.mark.parametrize(("gained", "lost"), [(1, 0), (5, 1), (3, 3), (6, 5), (15, 8), (40, 12), (0, 30), (900, 700)])
def test_it_is_the_exact_binomial_test_of_the_images_that_differ(gained: int, lost: int) -> None:
    expected = binomtest(gained, gained + lost).pvalue
    assert mcnemar_test(gained, lost) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_test(lost, gained) == mcnemar_test(gained, lost)


def test_models_that_agree_everywhere_do_not_differ() -> None:
    assert mcnemar_test(0, 0) == 1.0


@pytest.mark.parametrize(("gained", "lost"), [(-1, 5), (5, -1)])
def test_impossible_counts_are_refused(gained: int, lost: int) -> None:
    with pytest.raises(InputError, match="must not be negative"):
        mcnemar_test(gained, lost)
