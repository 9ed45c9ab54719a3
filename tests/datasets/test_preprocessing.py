"""Preprocessing is a value: it survives JSON and does the same again."""

import json
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from convrfm.datasets import Preprocessing
from convrfm.errors import InputError

CASES = [
    Preprocessing(None, 1),
    Preprocessing((4, 5), 3, 255.0),
    Preprocessing((6, 8), 3, 16.0, (0.1, 0.2, 0.3)),
]
RAW = np.random.default_rng(0).integers(256, size=(3, 1, 6, 8), dtype=np.uint8)


@pytest.mark.parametrize("preprocessing", CASES)
def test_a_round_trip_through_json_changes_nothing(preprocessing: Preprocessing) -> None:
    again = Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict())))
    assert again == preprocessing
    np.testing.assert_array_equal(again.apply(RAW), preprocessing.apply(RAW))


def test_pictures_are_scaled_then_centered() -> None:
    x = Preprocessing((6, 8), 3, 255.0, (0.5, 0.0, -0.5)).apply(RAW)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, RAW / 255 - np.array([0.5, 0.0, -0.5])[:, None, None], atol=1e-6)


def test_a_batch_and_a_list_of_its_pictures_are_the_same() -> None:
    preprocessing = Preprocessing((4, 4), 1, 255.0)
    np.testing.assert_array_equal(preprocessing.apply(RAW), preprocessing.apply(list(RAW)))


def test_mixed_sizes_need_an_image_size_and_one_is_proposed() -> None:
    mixed = [np.zeros((1, size, 10), np.uint8) for size in (4, 6, 8)]
    with pytest.raises(InputError, match=r"3 sizes.*Pass image_size=\(6, 10\)"):
        Preprocessing(None, 1).apply(mixed)
    assert Preprocessing((6, 10), 1).apply(mixed).shape == (3, 1, 6, 10)


VALID = CASES[1].to_dict()
FAULTS = [
    ({}, "image_size: Field required"),
    (VALID | {"divide_by": 0}, "divide_by"),
    (VALID | {"divide_by": float("nan")}, "divide_by"),
    (VALID | {"image_size": [4]}, "image_size"),
    (VALID | {"image_size": [4, -4]}, "image_size"),
    (VALID | {"image_size": [1 << 70, 4]}, "image_size"),
    (VALID | {"channels": "three"}, "channels"),
    (VALID | {"center": [0.5]}, "one value for each of 3 channels"),
    (VALID | {"flip": True}, "flip"),
]


@pytest.mark.parametrize(("values", "message"), FAULTS)
def test_a_damaged_dictionary_is_refused_in_words(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Preprocessing.from_dict(values)


SCALES = [Preprocessing((6, 8), 1, 255.0), Preprocessing((6, 8), 1, 16.0), Preprocessing((6, 8), 1, 255.0, (0.4,))]


@pytest.mark.parametrize("preprocessing", SCALES)
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_raw_pictures_are_told_from_those_that_passed(preprocessing: Preprocessing, kind: Any) -> None:
    raw = RAW if preprocessing.divide_by == 255 else RAW // 16
    preprocessing.check(kind(preprocessing.apply(raw)))
    with pytest.raises(InputError, match=r"got values from .*pass model\.preprocessing_\.apply"):
        preprocessing.check(kind(raw.astype(np.float32)))


def test_images_that_seem_not_to_be_centered_are_told_of() -> None:
    centered = Preprocessing((6, 8), 1, 255.0, (0.4,))
    with pytest.warns(UserWarning, match="pass 255 times x to model"):
        centered.check(RAW / 255)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        centered.check(centered.apply(RAW))
        Preprocessing((6, 8), 1, 255.0).check(RAW / 255)


@pytest.mark.parametrize("preprocessing", SCALES)
def test_pictures_that_are_scaled_already_are_not_scaled_again(preprocessing: Preprocessing) -> None:
    scaled = np.random.default_rng(0).random((3, 1, 6, 8))
    with pytest.raises(InputError, match=r"got fractions, from .* to .*multiply them by"):
        preprocessing.apply(scaled)
    with pytest.raises(InputError, match=r"Scaled in another way: make them 0 to"):
        preprocessing.check(2 * scaled - 1)
    preprocessing.apply(np.zeros((1, 1, 6, 8)))


def test_nothing_is_asked_of_values_that_were_never_scaled() -> None:
    Preprocessing((6, 8), 1).check(RAW)


@pytest.mark.usefixtures("as_a_user")
def test_pictures_without_channels_are_asked_for_them() -> None:
    with pytest.raises(InputError, match=r"got \(6, 8\)\. Gray ones are x\[:, None\]"):
        Preprocessing((6, 8), 1).apply(RAW[:, 0])


def test_pictures_whose_colors_are_last_are_told_to_bring_them_first() -> None:
    colors = np.zeros((2, 6, 8, 3), np.uint8)
    for preprocessing in (Preprocessing((6, 8), 3, 255.0), Preprocessing(None, 1, 255.0)):
        with pytest.raises(InputError, match=r"got \(6, 8, 3\)\. If its colors are last, pass np.moveaxis\(x, -1, 1\)"):
            preprocessing.apply(colors)
    assert preprocessing.apply(np.moveaxis(colors, -1, 1)).shape == (2, 1, 6, 8)


def test_images_that_memory_cannot_hold_are_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convrfm.datasets.memory.free_memory", lambda: 1 << 20)
    with pytest.raises(InputError, match=r"3 images of \(60000, 60000\) must fit into memory"):
        Preprocessing((60000, 60000), 1).apply(RAW)
