"""Generated data sets and scikit-learn's digits, in the form of every other source."""

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from sklearn.datasets import load_digits

from ..errors import InputError
from .local_signal import bars, bundled_digits, paste_into_noise, star
from .sampling import stratified_order
from .sources import Pictures, Reading, Source, positions

GENERATED_TRAIN = GENERATED_TEST = 500
DEFAULT_SIGMA = 1.0


def read_bars(reading: Reading) -> Source:
    """Bars, with `n_train` and `n_test` images from independent streams of `seed`."""
    return _drawn_from(functools.partial(bars, sigma=_sigma(reading)), reading)


def read_star(reading: Reading) -> Source:
    """Star: `n_train` images at random from one pool of equal classes, the other `n_test` for testing.

    As the published run draws them, so that a small training part need not hold the classes in equal numbers.
    """
    (n_train, stream), (n_test, _) = _sizes_and_streams(reading)
    x, y = star(n_train + n_test, generator=stream)
    train = Pictures(x[:n_train], y[:n_train], positions(n_train))
    return _generated(train, Pictures(x[n_train:], y[n_train:], positions(n_test)), reading.seed)


def read_noisy_digits(reading: Reading) -> Source:
    """Noisy digits made of scikit-learn's: training digits from the front of one order, test from its end.

    So no digit is in both parts, and neither part depends on the other's size. Names are positions among
    scikit-learn's digits.
    """
    images, labels = bundled_digits()
    order = stratified_order(labels, np.random.default_rng(reading.seed))
    (n_train, train), (n_test, test) = _sizes_and_streams(reading)
    if n_train + n_test > len(order):
        raise InputError(
            f"n_train + n_test must be at most {len(order)}, the number of bundled digits; "
            f"got {n_train} + {n_test}. Lower one of them."
        )

    def part(drawn: np.ndarray, generator: np.random.Generator) -> Pictures:
        x = paste_into_noise(images[drawn], sigma=_sigma(reading), generator=generator)
        return Pictures(x, labels[drawn], tuple(map(str, drawn)))

    return _generated(part(order[:n_train], train), part(order[::-1][:n_test], test), reading.seed)


def read_sklearn_digits(reading: Reading) -> Source:
    """scikit-learn's 1797 digits, 8x8, with values from 0 to 16."""
    digits = load_digits()
    x = digits.images[:, None].astype(np.float32)
    return Source(Pictures(x, digits.target.astype(np.int64), positions(len(x)), white=16.0))


def _drawn_from(task: Callable[..., tuple[np.ndarray, np.ndarray]], reading: Reading) -> Source:
    parts = (task(n, generator=generator) for n, generator in _sizes_and_streams(reading))
    train, test = (Pictures(x, y, positions(len(x))) for x, y in parts)
    return _generated(train, test, reading.seed)


def _generated(train: Pictures, test: Pictures, seed: int) -> Source:
    note = f"{len(train)} train and {len(test)} test images were generated with seed {seed}."
    return Source(replace(train, notes=(note,)), test)


def _sizes_and_streams(reading: Reading) -> tuple[tuple[int, np.random.Generator], ...]:
    train, test = np.random.SeedSequence(reading.seed).spawn(2)
    return (
        (GENERATED_TRAIN if reading.n_train is None else reading.n_train, np.random.default_rng(train)),
        (GENERATED_TEST if reading.n_test is None else reading.n_test, np.random.default_rng(test)),
    )


def _sigma(reading: Reading) -> float:
    return DEFAULT_SIGMA if reading.sigma is None else reading.sigma
