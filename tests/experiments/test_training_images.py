"""Images for networks: found by name, drawn as `load` draws them, scaled and divided."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convrfm.datasets import load
from convrfm.errors import InputError
from convrfm.experiments.training_images import Draw, as_parts, drawn_images

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    arrays = {f"{part}_images": RNG.integers(256, size=(n, 6, 6, 3), dtype=np.uint8) for part, n in SIZES.items()}
    labels = {f"{part}_labels": (np.arange(n) % 3)[:, None] for part, n in SIZES.items()}
    (tmp_path / "medmnist").mkdir()
    np.savez(tmp_path / "medmnist" / "derma_small.npz", **arrays, **labels)
    return tmp_path


SIZES = {"train": 60, "val": 12, "test": 30}


@pytest.mark.parametrize("n_test", [10, 30])
def test_fewer_test_images_are_those_that_load_draws(folder: Path, n_test: int) -> None:
    mine = drawn_images("Derma", str(folder), Draw(20, n_test, (6, 6)), seed=4)
    file = folder / "medmnist" / "derma_small.npz"
    expected = load(file, n_train=20, n_test=n_test, seed=4, image_size=(6, 6), validation="train")
    np.testing.assert_array_equal(mine.x_test, expected.x_test)
    np.testing.assert_array_equal(mine.x_train, expected.x_train)
    assert mine.names_test == expected.names_test


def test_of_a_small_data_set_all_test_images_are_taken(folder: Path) -> None:
    assert len(drawn_images("derma", str(folder), Draw(20, 500, None), seed=0).x_test) == SIZES["test"]


def test_a_tenth_is_held_out_and_colors_have_the_paper_s_scale(folder: Path) -> None:
    data = drawn_images("derma", str(folder), Draw(None, None, None), seed=0)
    images = as_parts(data)
    assert images.parts.held_out is not None
    assert (len(images.parts.train.y), len(images.parts.held_out.y)) == (65, 7)  # of 60 + 12
    mean, deviation = np.array([125.3, 123.0, 113.9]) / 255, np.array([63.0, 62.1, 66.7]) / 255
    expected = (data.x_train[7:] - mean[:, None, None]) / deviation[:, None, None]
    np.testing.assert_allclose(images.parts.train.x.numpy(), expected, atol=1e-5)


def test_what_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(InputError, match="must hold SVHN"):
        drawn_images("SVHN", str(folder), Draw(10, 10, None), seed=0)


def test_generated_images_are_not_looked_for_in_the_folder(folder: Path) -> None:
    mine = drawn_images("bars", str(folder), Draw(20, 10, None), seed=4)
    np.testing.assert_array_equal(mine.x_train, load("bars", n_train=20, n_test=10, seed=4).x_train)


@pytest.mark.parametrize("scale", [255.0, -1.0])
def test_colors_that_are_not_from_0_to_1_are_warned_of(folder: Path, scale: float) -> None:
    data = drawn_images("derma", str(folder), Draw(None, None, None), seed=0)
    other = replace(data, x_train=np.float32(scale) * data.x_train)
    with pytest.warns(UserWarning, match=r"training images have values from .*scaled as pictures from 0 to 1"):
        as_parts(other)
