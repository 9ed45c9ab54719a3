"""MAPIE's conformal predictors around image estimators hold their promise of coverage."""

from collections.abc import Callable

import numpy as np
import pytest

from convrfm import ConvRFMClassifier, ConvRFMRegressor, datasets, kernels

pytestmark = pytest.mark.usefixtures("stream_of_numpy")
classification = pytest.importorskip("mapie.classification")
regression = pytest.importorskip("mapie.regression")

KERNEL = kernels.Laplace(patch_size=3)
N_CALIBRATION, CONFIDENCE, SPLITS = 39, 0.8, 60
X, CODES = datasets.bars(150, sigma=1.0, generator=np.random.default_rng(0))
X = X[:, :, :6, :6]
LABELS = np.array(["dark", "white"])[CODES]
TARGETS = X[:, 0, 2, 3] + 0.1 * np.random.default_rng(1).standard_normal(150)
X = X.reshape(150, -1)  # MAPIE counts the features of (n, p)
FIT = slice(0, 30)
SHAPE = (1, 6, 6)


def mean_coverage(covered: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> float:
    """The mean over random splits of the pool of how much of its rest is covered."""
    generator = np.random.default_rng(2)
    coverages = []
    for _ in range(SPLITS):
        order = 30 + generator.permutation(120)
        coverages.append(covered(order[:N_CALIBRATION], order[N_CALIBRATION:]).mean())
    return float(np.mean(coverages))


# Each of the 39 + 1 ranks of a new score among those of the calibration images is equally likely: 32 of 40 are covered.
EXACT = pytest.approx(
    CONFIDENCE, abs=4 * np.sqrt(0.16 / N_CALIBRATION + 0.16 / (120 - N_CALIBRATION)) / np.sqrt(SPLITS)
)


def test_sets_of_labels_cover_the_true_one_as_often_as_promised() -> None:
    model = ConvRFMClassifier(KERNEL, n_iterations=1, image_shape=SHAPE).fit(X[FIT], LABELS[FIT])
    predicted = model.predict(X)

    def covered(calibration: np.ndarray, new: np.ndarray) -> np.ndarray:
        conformal = classification.SplitConformalClassifier(model, confidence_level=CONFIDENCE, prefit=True)
        labels, sets = conformal.conformalize(X[calibration], LABELS[calibration]).predict_set(X[new])
        np.testing.assert_array_equal(labels, predicted[new])
        return sets[np.arange(len(new)), CODES[new], 0]

    assert mean_coverage(covered) == EXACT


def test_intervals_cover_the_target_as_often_as_promised() -> None:
    model = ConvRFMRegressor(KERNEL, n_iterations=1, image_shape=SHAPE).fit(X[FIT], TARGETS[FIT])

    def covered(calibration: np.ndarray, new: np.ndarray) -> np.ndarray:
        conformal = regression.SplitConformalRegressor(model, confidence_level=CONFIDENCE, prefit=True)
        _, intervals = conformal.conformalize(X[calibration], TARGETS[calibration]).predict_interval(X[new])
        low, high = intervals[:, :, 0].T
        return (low <= TARGETS[new]) & (TARGETS[new] <= high)

    assert mean_coverage(covered) == EXACT
