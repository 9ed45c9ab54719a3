"""`check_images` and `check_labels`: one layout behind the door, a worded error before it."""

from typing import Any

import numpy as np
import pandas
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.exceptions import DataConversionWarning

from convrfm.datasets import Preprocessing, check_images, check_labels, noisy_digits
from convrfm.errors import InputError, InputTypeError

LAYOUTS = [((4, 2, 6, 5), None), ((4, 6, 5), None), ((4, 60), (2, 6, 5))]


@pytest.mark.parametrize(("shape", "image_shape"), LAYOUTS)
def test_every_layout_becomes_channel_first_without_a_change_of_values(shape: Any, image_shape: Any) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    batch = check_images(x, image_shape=image_shape)
    assert batch.ndim == 4
    np.testing.assert_array_equal(batch.ravel(), x.ravel())
    as_tensor = check_images(torch.from_numpy(x), image_shape=image_shape)
    assert isinstance(as_tensor, torch.Tensor)
    np.testing.assert_array_equal(as_tensor.numpy(), batch)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", ">f4"])
def test_numbers_become_float32(dtype: str) -> None:
    assert check_images(np.ones((2, 5, 5), dtype)).dtype == np.dtype(np.float32)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32", "uint64"])
@pytest.mark.parametrize("of_torch", [False, True], ids=["numpy", "torch"])
def test_integers_that_single_precision_takes_for_one_another_are_refused(dtype: str, of_torch: bool) -> None:
    most = np.zeros((2, 1, 4, 4), dtype)
    most[0, 0, 0, 0] = 2**24
    assert float(check_images(most).max()) == 2**24
    beyond = most + np.array(1, dtype)
    with pytest.raises(InputError, match="integers of at most 2\\*\\*24"):
        check_images(torch.from_numpy(beyond) if of_torch else beyond)
    assert float(check_images(beyond.astype(np.float64)).max()) == 2**24 + 1


def test_objects_that_are_numbers_become_numbers() -> None:
    np.testing.assert_array_equal(check_images(np.full((2, 5, 5), 3, object)), np.full((2, 1, 5, 5), 3.0))


def test_double_precision_stays() -> None:
    assert check_images(np.ones((2, 5, 5))).dtype == np.float64
    assert check_images(torch.ones(2, 5, 5, dtype=torch.float64)).dtype == torch.float64


def test_small_feature_maps_are_not_taken_for_channels_last() -> None:
    assert check_images(np.ones((2, 64, 3, 3))).shape == (2, 64, 3, 3)


@pytest.mark.parametrize("shape", [(30, 64, 64, 13), (30, 9, 9, 8), (5, 4, 4, 3), (5, 4, 4, 1), (5, 3, 3, 2)])
def test_square_images_before_a_shorter_side_are_asked_about(shape: tuple[int, ...]) -> None:
    for x, remedy in ((np.ones(shape), r"np\.moveaxis"), (torch.ones(shape), r"x\.movedim")):
        with pytest.raises(InputError, match=rf"channels are last, pass {remedy}.*image_shape=\({shape[1]}, "):
            check_images(x)
        assert check_images(x, image_shape=shape[1:]).shape == shape


@pytest.mark.parametrize("shape", [(2, 3, 3, 3), (2, 13, 64, 64), (2, 3, 64, 48), (2, 64, 7, 7), (2, 8, 8, 8)])
def test_shapes_that_can_only_be_channels_first_pass(shape: tuple[int, ...]) -> None:
    assert check_images(np.ones(shape)).shape == shape


def test_one_picture_with_its_colors_last_is_not_a_batch_of_lines() -> None:
    with pytest.raises(InputError, match=r"one picture with its colors last.*\(1, 3, 64, 64\)"):
        check_images(np.ones((64, 64, 3)))
    assert check_images(np.ones((64, 64, 3))[:, None]).shape == (64, 1, 64, 3)


MASKED = np.ma.masked_greater(np.arange(32.0).reshape(2, 4, 4), 29)


@pytest.mark.parametrize("x", [MASKED, list(MASKED), tuple(MASKED), list(map(list, MASKED))])
def test_a_mask_is_never_lost(x: Any) -> None:
    with pytest.raises(InputError, match=r"x must not be masked; 2 values are\. Pass x\.filled"):
        check_images(x)
    with pytest.raises(InputError, match=r"y must not be masked; 1 values are"):
        check_labels(np.ma.masked_equal([0, 1, 2], 2), 3)


def digits_of(images: Any, labels: Any = (0, 1)) -> None:
    noisy_digits(1, sigma=0.0, generator=np.random.default_rng(0), digits=(images, np.ma.asarray(labels)))


DOORS = [
    (Preprocessing(None, 1).apply, "raw", MASKED[:, None]),
    (Preprocessing(None, 1).apply, "raw", list(MASKED[:, None])),
    (Preprocessing((4, 4), 1).apply, "raw", [MASKED[1:], np.zeros((1, 5, 5))]),
    (Preprocessing(None, 1).check, "x", MASKED[:, None]),
    (digits_of, "images", MASKED / 32),
    (lambda labels: digits_of(np.zeros((2, 4, 4)), labels), "labels", np.ma.masked_array([0, 1], mask=True)),
]


@pytest.mark.parametrize(("door", "name", "given"), DOORS)
def test_no_door_loses_a_mask(door: Any, name: str, given: Any) -> None:
    with pytest.raises(InputError, match=rf"{name} must not be masked; 2 values are\. Pass {name}\.filled"):
        door(given)


def test_a_mask_that_hides_nothing_changes_nothing() -> None:
    x = np.ma.masked_array(np.ones((2, 4, 4)), mask=False)
    np.testing.assert_array_equal(check_images(x), np.ones((2, 1, 4, 4)))
    assert type(check_images(x)) is np.ndarray


def with_value(value: float) -> np.ndarray:
    x = np.zeros((3, 1, 8, 8))
    x[2, 0, 5, 7] = x[2, 0, 6, 0] = value
    return x


FAULTS = [
    (
        np.zeros((100, 32, 32, 3)),
        None,
        r"got \(100, 32, 32, 3\)\. If the channels are last, pass np\.moveaxis",
    ),
    (torch.zeros(9, 32, 32, 1), None, r"pass x\.movedim\(-1, 1\)"),
    (with_value(np.nan), None, r"2 values are not, the first is nan at \(2, 0, 5, 7\)"),
    (torch.from_numpy(with_value(-np.inf)), None, r"the first is -inf at \(2, 0, 5, 7\)"),
    (np.zeros((4, 60)), None, "pass image_shape="),
    (np.zeros((4, 60)), (1, 8, 8), r"must be \(n, 64\)"),
    (np.zeros((4, 1, 6, 6)), (1, 8, 8), "Correct image_shape"),
    (np.zeros(7), None, r"got \(7,\)"),
    (np.zeros((1, 1, 1, 8, 8)), None, "channels first"),
    (np.zeros((0, 1, 8, 8)), None, "at least one image"),
    (np.zeros((0, 64)), (1, 8, 8), "n > 0"),
    (np.zeros((2, 8, 8), complex), None, "complex128"),
    (torch.zeros(2, 8, 8, dtype=torch.complex64), None, "complex64"),
    (np.full((2, 8, 8), "a"), None, "real numbers"),
    (np.full((2, 8, 8), None), None, "the first is nan"),
    (np.full((2, 8, 8), "a", object), None, "real numbers"),
    (csr_array(np.eye(4)), (1, 2, 2), r"Pass x\.toarray"),
    (np.zeros((4, 0)), (1, 1, -1), "0 feature"),
    ([[[1.0, 2.0]], [[1.0]]], None, "different shapes"),
]


@pytest.mark.parametrize(("x", "image_shape", "message"), FAULTS)
def test_what_is_no_batch_of_images_is_refused_in_words(x: Any, image_shape: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_images(x, image_shape=image_shape)


def column(*shapes: tuple[int, ...]) -> np.ndarray:
    cells = np.empty(len(shapes), object)
    for i, shape in enumerate(shapes):
        cells[i] = np.ones(shape)
    return cells


def test_a_column_of_images_is_stacked_by_its_remedy() -> None:
    for x in (column((3, 5, 5), (3, 5, 5)), column((3, 5, 5), (3, 5, 5))[:, None]):
        with pytest.raises(InputError, match=r"array of 2 arrays.*Pass np\.stack\(list\(x\)\)"):
            check_images(x)
    assert check_images(np.stack(list(column((3, 5, 5), (3, 5, 5))))).shape == (2, 3, 5, 5)
    with pytest.raises(InputError, match="Bring all to one size"):
        check_images(column((3, 5, 5), (3, 6, 5)))


def test_an_object_that_is_no_number_is_a_type_error_too() -> None:
    with pytest.raises(InputTypeError, match="not 'dict'"):
        check_images(np.full((2, 8, 8), {}))
    assert issubclass(InputTypeError, InputError)


def test_what_pandas_calls_missing_is_to_be_filled_in_or_removed() -> None:
    x = np.ones((2, 1, 3, 3), object)
    x[1, 0, 2, 2] = pandas.NA
    with pytest.raises(
        InputTypeError, match=r"must hold real numbers; got objects, .* Fill in what is missing, or remove"
    ):
        check_images(x)


@pytest.mark.parametrize("y", [[0, 1, 1], ["a", "b", "b"], [True, False, True], [1.0, 2.0, 1.0]])
def test_labels_pass_unchanged_whatever_holds_them(y: list) -> None:
    assert check_labels(y, 3).tolist() == y
    assert check_labels(np.array(y, object if isinstance(y[0], str) else None), 3).tolist() == y
    if not isinstance(y[0], str):
        assert check_labels(torch.tensor(y), 3).tolist() == y


def test_labels_of_half_precision_are_labels() -> None:
    assert check_labels(torch.tensor([0.0, 1.0, 2048.0], dtype=torch.float16), 3).tolist() == [0, 1, 2048]


def test_a_column_of_labels_is_taken_with_a_warning() -> None:
    with pytest.warns(DataConversionWarning, match=r"Pass np\.ravel\(y\)"):
        assert check_labels([[0], [1], [1]], 3).tolist() == [0, 1, 1]


LABEL_FAULTS = [
    ([0, 1], "got 2 labels for 3 images"),
    (np.eye(3), "one-hot"),
    (np.array([0.0, np.nan, np.nan]), "got nan at 1"),
    ([0.0, 1.0, np.pi], "regressor"),
    (np.array([(1, 2), "a", "b"], dtype=object), "all numbers or all strings"),
    ([0, [1, 2], 1], "different shapes"),
]


@pytest.mark.parametrize(("y", "message"), LABEL_FAULTS)
def test_what_is_no_list_of_labels_is_refused_in_words(y: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_labels(y, 3)


MISSING = {"NaN": float("nan"), "NumPy's": np.float32("nan"), "None": None, "pandas'": pandas.NA, "no time": pandas.NaT}


@pytest.mark.parametrize("missing", MISSING.values(), ids=MISSING)
def test_a_missing_label_is_no_class(missing: object) -> None:
    """NumPy makes a text of it, "nan", where the others are texts."""
    labels = ["cat", "dog", missing, "cat"]
    for given in (labels, tuple(labels), np.array(labels, dtype=object), pandas.Series(labels, dtype=object)):
        with pytest.raises(
            InputError, match=r"y must be known for every image; 1 are missing .* Leave these images out"
        ):
            check_labels(given, 4)


def test_labels_that_numpy_cannot_take_are_refused_in_words() -> None:
    with pytest.raises(InputError, match=r"y must be one array; .*Pass it as a NumPy array"):
        check_labels(torch.zeros(4, dtype=torch.bfloat16), 4)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", 0, 2], "all numbers or all strings; got some of each"),
        (["a", True], "all numbers or all strings; got some of each"),
        (np.array([0.0, np.inf]), "got inf at 1"),
        ([-1, 2**63 + 1], r"got 9\.2.*e\+18 at 1"),
    ],
)
def test_labels_that_numpy_would_make_others_of_are_refused(y: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_labels(y, len(y))
