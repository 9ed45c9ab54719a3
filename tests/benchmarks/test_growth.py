import numpy as np
import pytest

from benchmarks.cases import SMALL
from benchmarks.growth import affine, positions, proportional
from convrfm import kernels


def test_a_law_that_holds_leaves_no_residual() -> None:
    sizes = np.array([3.0, 5.0, 11.0])
    assert proportional(sizes, 0.2 * sizes)["coefficients"] == pytest.approx([0.2])
    assert affine(sizes, 0.2 * sizes + 1)["coefficients"] == pytest.approx([0.2, 1])
    for fitted in (proportional(sizes, 0.2 * sizes), affine(sizes, 0.2 * sizes + 1)):
        assert fitted["residuals"] == pytest.approx([0, 0, 0], abs=1e-12)


def test_a_residual_is_the_measured_time_over_the_fitted_one_less_one() -> None:
    fitted = affine([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.4])
    slope, offset = fitted["coefficients"]
    assert fitted["residuals"][3] == pytest.approx(4.4 / (4 * slope + offset) - 1)
    assert fitted["residuals"][3] > 0


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_positions_are_those_of_the_architecture(depth: int) -> None:
    grids = kernels.vanilla(depth).grids(*SMALL[1:])
    assert positions(depth) == sum(rows * cols for rows, cols in set(grids))
