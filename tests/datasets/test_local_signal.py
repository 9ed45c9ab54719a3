"""The generated tasks are those of the papers."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convrfm.datasets import bars, noisy_digits, star
from convrfm.errors import InputError

TASKS = {
    "bars": lambda n, generator: bars(n, sigma=1.0, generator=generator),
    "noisy digits": lambda n, generator: noisy_digits(n, sigma=1.0, generator=generator),
    "star": lambda n, generator: star(n, generator=generator),
}
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@every_task
def test_the_generator_decides_everything(task: Any) -> None:
    (x, y), (again, y_again), (other, _) = task(20, rng(3)), task(20, rng(3)), task(20, rng(4))
    np.testing.assert_array_equal(x, again)
    np.testing.assert_array_equal(y, y_again)
    assert not np.array_equal(x, other)


@every_task
def test_no_image_is_refused_in_words(task: Any) -> None:
    with pytest.raises(InputError, match="got 0"):
        task(0, rng())


@pytest.mark.parametrize("n", [50, 51])
@pytest.mark.parametrize("name", ["bars", "star"])
def test_classes_are_balanced_and_shuffled(name: str, n: int) -> None:
    _, y = TASKS[name](n, rng())
    assert abs(2 * y.sum() - n) == n % 2
    assert 0 < y[: n // 2].sum() < n // 2


def test_exactly_one_row_of_a_bar_image_is_plus_or_minus_the_signal() -> None:
    x, y = bars(200, sigma=1.0, generator=rng())
    assert x.shape == (200, 1, 16, 32)
    signal = np.float32(1 / np.sqrt(32))
    rows = (x[:, 0] == np.where(y == 1, signal, -signal)[:, None, None]).all(axis=2)
    assert (rows.sum(axis=1) == 1).all()
    assert set(rows.argmax(axis=1)) == set(range(16))


@pytest.mark.parametrize("sigma", [0.25, 1.0, 4.0])
def test_the_noise_of_bars_has_variance_sigma_over_32(sigma: float) -> None:
    x, _ = bars(200, sigma=sigma, generator=rng())
    noise = x[np.abs(np.abs(x) - 1 / np.sqrt(32)) > 1e-6]
    assert np.isclose(noise.var(), sigma / 32, rtol=0.02)


@pytest.mark.parametrize("sigma", [0.25, 1.0])
def test_the_noise_around_digits_has_std_half_the_root_of_sigma(sigma: float) -> None:
    blank = np.zeros((300, 8, 8), np.float32)
    x, _ = noisy_digits(300, sigma=sigma, generator=rng(), digits=(blank, np.zeros(300)))
    assert x.shape == (300, 1, 12, 12)
    assert ((x == 0).sum(axis=(1, 2, 3)) == 64).all()
    assert np.isclose(x[x != 0].std(), 0.5 * np.sqrt(sigma), rtol=0.02)


def test_digits_are_pasted_unchanged_at_places_that_cover_the_canvas() -> None:
    images = rng(1).uniform(size=(300, 8, 8)).astype(np.float32)
    x, y = noisy_digits(300, sigma=1.0, generator=rng(), digits=(images, np.arange(300)))
    corners = set()
    for canvas, label in zip(x[:, 0], y, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(canvas, (8, 8))
        found = np.argwhere((windows == images[label]).all(axis=(2, 3)))
        assert len(found) == 1
        corners.add(tuple(found[0].tolist()))
    assert corners == {(top, left) for top in range(5) for left in range(5)}


def test_digits_are_drawn_without_replacement() -> None:
    images, labels = np.zeros((40, 4, 4), np.uint8), np.arange(40)
    _, drawn = noisy_digits(40, sigma=1.0, generator=rng(), digits=(images, labels))
    assert sorted(drawn) == labels.tolist()
    with pytest.raises(InputError, match=r"between 1 and 40.*got 41"):
        noisy_digits(41, sigma=1.0, generator=rng(), digits=(images, labels))


def test_bytes_and_fractions_are_the_same_digits() -> None:
    images, labels = rng().integers(256, size=(5, 8, 8)).astype(np.uint8), np.arange(5)
    from_bytes, _ = noisy_digits(5, sigma=1.0, generator=rng(), digits=(images, labels))
    fractions = (images / 255).astype(np.float32)
    from_fractions, _ = noisy_digits(5, sigma=1.0, generator=rng(), digits=(fractions, labels))
    np.testing.assert_allclose(from_bytes, from_fractions, atol=1e-6)
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        noisy_digits(5, sigma=1.0, generator=rng(), digits=(images.astype(float), labels))


def test_bundled_digits_stay_between_black_and_white_on_a_24_pixel_canvas() -> None:
    x, y = noisy_digits(100, sigma=0.0, generator=rng())
    assert x.shape == (100, 1, 24, 24)
    assert x.min() == 0
    assert 0.9 < x.max() <= 1
    assert set(y) == set(range(10))


@pytest.mark.parametrize("sigma", [-1.0, np.nan, np.inf])
def test_a_noise_level_that_is_none_is_refused(sigma: float) -> None:
    with pytest.raises(InputError, match="sigma"):
        bars(4, sigma=sigma, generator=rng())


STAR = """
...#...
..###..
#######
.#####.
..###..
.#####.
.##.##.
"""


def test_the_star_is_drawn_pixel_for_pixel_in_two_channels_and_everywhere() -> None:
    shape = np.array([[pixel == "#" for pixel in line] for line in STAR.split()])
    x, y = star(1500, generator=rng())
    offsets = set()
    for image in x[y == 1]:
        ones = image == 1
        assert not ones[2].any()
        np.testing.assert_array_equal(ones[0], ones[1])
        top, left = (int(axis.min()) for axis in np.nonzero(ones[0]))
        np.testing.assert_array_equal(ones[0, top : top + 7, left : left + 7], shape)
        assert ones[0].sum() == shape.sum()
        offsets.add((top - 3, left - 7))
    assert {a for a, _ in offsets} == {b for _, b in offsets} == set(range(18))
    assert not (x[y == 0] == 1).any()


def test_the_noise_of_star_has_std_three_tenths() -> None:
    x, y = star(100, generator=rng())
    assert np.isclose(x[y == 0].std(), 0.3, rtol=0.02)
    assert np.isclose(x[y == 1, 2].std(), 0.3, rtol=0.02)


@pytest.mark.real_data
@pytest.mark.skipif("CONVRFM_DATA" not in os.environ, reason="CONVRFM_DATA is not set")
def test_mnist_digits_of_28_pixels_go_into_42() -> None:
    with np.load(Path(os.environ["CONVRFM_DATA"]) / "mnist.npz") as file:
        digits = file["x_test"], file["y_test"]
    x, y = noisy_digits(20, sigma=1.0, generator=rng(), digits=digits)
    assert x.shape == (20, 1, 42, 42)
    assert y.dtype == np.int64
