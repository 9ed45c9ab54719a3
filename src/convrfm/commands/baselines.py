"""What simple methods reach on the split that a model was fitted to and tested on."""

import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from ..datasets import ImageData
from ..maths.intervals import wilson_interval
from ..report import Baseline

MOST_IMAGES = 2000  # that are trained on: seconds, however many there are
LONGEST_SIDE = 32  # pixels; larger images are averaged
TREES = 200


def baselines(data: ImageData, seed: int) -> list[Baseline]:
    """Chance, logistic regression and a random forest on pixels, trained and tested on the images of the model.

    At most 2000 training images are taken, of every class at least one, and pixels of large images are averaged, so that it
    takes seconds.
    """
    ahead = np.unique(data.y_train, return_index=True)[1]  # of every class the first, however rare it is
    others = np.setdiff1d(np.arange(len(data.y_train)), ahead)
    taken = np.sort(np.concatenate([ahead, others])[:MOST_IMAGES])
    train, labels = _pixels(data.x_train[taken]), data.y_train[taken]
    test = _pixels(data.x_test)
    center, scale = train.mean(), train.std() or 1.0
    train, test = (train - center) / scale, (test - center) / scale
    found = []
    for name, method in _methods(seed):
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            predicted = method.fit(train, labels).predict(test)
        found.append(_scored(name, predicted, data.y_test, len(labels), time.perf_counter() - start))
    return found


def _methods(seed: int) -> Iterator[tuple[str, Any]]:
    yield "chance: the most frequent class", DummyClassifier(strategy="most_frequent")
    yield "logistic regression on pixels", LogisticRegression(max_iter=300)
    yield "random forest on pixels", RandomForestClassifier(TREES, n_jobs=-1, random_state=seed)


def _scored(
    name: str, predicted: Shaped[np.ndarray, " n"], true: Shaped[np.ndarray, " n"], n_train: int, seconds: float
) -> Baseline:
    hits = int((predicted == true).sum())
    return Baseline(name, hits / len(true), wilson_interval(hits, len(true)), n_train, seconds)


def _pixels(images: Float[np.ndarray, "n c h w"]) -> Float[np.ndarray, "n d"]:
    """Every image as one vector, of means over squares where it is larger than 32 pixels; what is left at the rim is cut."""
    n, channels, height, width = images.shape
    step = -(-max(height, width) // LONGEST_SIDE)
    step = min(step, height, width)
    rows, cols = height // step, width // step
    squares = images[:, :, : rows * step, : cols * step].reshape(n, channels, rows, step, cols, step)
    return squares.mean((3, 5)).reshape(n, -1)
