"""Sine and angle of a correlation, to the last few units in the last place."""

import mpmath
import numpy as np
import pytest
from numba import njit

from convrfm.kernels.lanes.polynomials import angle_and_sine
from convrfm.kernels.lanes.vectors import LANES, address, load, store


@njit
def evaluate(r: np.ndarray, angle: np.ndarray, sine: np.ndarray) -> None:
    for p in range(0, len(r), LANES):
        a, s = angle_and_sine(load(address(r), p))
        store(address(angle), p, a)
        store(address(sine), p, s)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_angle_and_sine_are_right_to_four_units_in_the_last_place(dtype: type) -> None:
    uniform = np.random.default_rng(0).uniform(-1, 1, 1200)
    near_one = 1 - 10.0 ** -np.random.default_rng(1).uniform(0, 6, 192)  # nearer, correlations count as 1
    r: np.ndarray = np.concatenate([uniform, near_one, -near_one, [0, 1, -1, *[0.5] * 13]]).astype(dtype)
    angle, sine = np.empty_like(r), np.empty_like(r)
    evaluate(r, angle, sine)
    with mpmath.workdps(40):
        exact_angle = [mpmath.acos(mpmath.mpf(float(v))) for v in r]
        exact_sine = [mpmath.sqrt(1 - mpmath.mpf(float(v)) ** 2) for v in r]
        for found, exact in ((angle, exact_angle), (sine, exact_sine)):
            spacing = np.spacing(np.array([float(e) for e in exact]).astype(dtype))
            errors = [float(abs(mpmath.mpf(float(f)) - e)) for f, e in zip(found, exact, strict=True)]
            assert max(errors / spacing) < 4


def test_correlations_that_differ_from_one_by_rounding_count_as_one() -> None:
    r = np.float32(1) + np.float32(6e-8) * np.arange(-6, LANES - 6, dtype=np.float32)
    angle, sine = np.empty_like(r), np.empty_like(r)
    evaluate(r, angle, sine)
    assert not angle.any()
    assert not sine.any()
