"""Array files as people have them: their names, their axes, their sizes."""

import itertools
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from convrfm.datasets import load
from convrfm.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.integers(256, size=(30, 6, 8), dtype=np.uint8)
Y = np.arange(30) % 2


def written(path: Path, **arrays: np.ndarray) -> Path:
    np.savez_compressed(path, **arrays)
    return path


PAIRS = [("x", "y"), ("X", "y"), ("images", "labels"), ("image", "label"), ("data", "targets")]
PARTS = [("x_{}", "y_{}"), ("X_{}", "Y_{}"), ("{}_images", "{}_labels"), ("{}_x", "{}_y"), ("images_{}", "labels_{}")]


@pytest.mark.parametrize("names", PAIRS)
def test_usual_names_are_images_and_labels(tmp_path: Path, names: tuple[str, str]) -> None:
    data = load(written(tmp_path / "a.npz", **dict(zip(names, (X, Y), strict=True))))
    rows = [int(name) for name in data.names_train]
    np.testing.assert_allclose(data.x_train[:, 0], X[rows] / 255, atol=1e-6)
    np.testing.assert_array_equal(data.y_train, Y[rows])


@pytest.mark.parametrize(("names", "validation"), list(itertools.product(PARTS, ["val", "valid", "validation"])))
def test_usual_names_are_parts(tmp_path: Path, names: tuple[str, str], validation: str) -> None:
    parts = {"train": slice(0, 12), validation: slice(12, 20), "test": slice(20, 30)}
    arrays = {name.format(part): a[rows] for part, rows in parts.items() for name, a in zip(names, (X, Y), strict=True)}
    data = load(written(tmp_path / "a.npz", **arrays))
    np.testing.assert_allclose(data.x_test[:, 0], X[20:] / 255, atol=1e-6)
    assert data.selection is not None
    np.testing.assert_allclose(data.selection[0][:, 0], X[12:20] / 255, atol=1e-6)
    np.testing.assert_array_equal(data.selection[1], Y[12:20])
    assert len(data.x_train) == 12


@pytest.mark.parametrize(("part", "name"), [("test", "test"), ("val", "validation")])
def test_a_part_whose_labels_are_withheld_is_refused(tmp_path: Path, part: str, name: str) -> None:
    withheld = {f"x_{part}": X[20:], f"y_{part}": np.full(10, -1)}
    file = written(tmp_path / "a.npz", x_train=X[:20], y_train=Y[:20], **withheld)
    with pytest.raises(
        InputError, match=rf"the {name} part of .*that training knows, such as 0, 1; got -1\. Pass the training"
    ):
        load(file)


def test_a_training_part_alone_gives_a_fifth_away(tmp_path: Path) -> None:
    data = load(written(tmp_path / "a.npz", x_train=X, y_train=Y))
    assert (len(data.x_train), len(data.x_test)) == (24, 6)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_colors_that_come_last_are_moved_and_that_is_said(tmp_path: Path, channels: int) -> None:
    x = RNG.integers(256, size=(30, 8, 9, channels), dtype=np.uint8)
    data = load(written(tmp_path / "a.npz", images=x, labels=Y[:, None]))
    rows = [int(name) for name in data.names_train]
    np.testing.assert_allclose(data.x_train, np.moveaxis(x, -1, 1)[rows] / 255, atol=1e-6)
    assert f"The channels of images were last: it was read as (30, {channels}, 8, 9), channels first." in data.notes


@pytest.mark.parametrize("y", [np.where(Y, b"cat", b"dog"), np.where(Y, "猫", "犬")])
def test_labels_are_texts_in_any_script(tmp_path: Path, y: np.ndarray) -> None:
    expected = {"cat", "dog"} if y.dtype.kind == "S" else {"猫", "犬"}
    assert set(load(written(tmp_path / "a.npz", x=X, y=y)).classes) == expected


FAULTS = [
    ({"x": np.zeros((20, 64, 64, 13)), "y": Y[:20]}, "If the channels are last"),
    ({"x": X, "images": X, "y": Y}, "got x and images"),
    ({"x": X, "y": Y, "x_train": X}, "one data set, in parts or not"),
    ({"x_test": X, "y_test": Y}, "must hold x and y"),
    ({"x": X, "y": np.eye(30)}, "one-hot"),
    ({"x": np.float32(3), "y": Y}, "must be"),
]


@pytest.mark.parametrize(("arrays", "message"), FAULTS)
def test_files_with_two_readings_or_none_are_refused_in_words(tmp_path: Path, arrays: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(written(tmp_path / "a.npz", **arrays))


@pytest.mark.parametrize(
    "x", [X.reshape(30, -1) / 255, X.reshape(30, -1), np.zeros((30, 8, 8, 5))], ids=lambda x: f"{x.dtype} {x.shape}"
)
def test_a_refusal_of_arrays_names_no_argument_that_a_file_does_not_have(tmp_path: Path, x: np.ndarray) -> None:
    with pytest.raises(InputError, match="x must be") as refused:
        load(written(tmp_path / "a.npz", x=x, y=Y))
    assert "image_shape" not in str(refused.value)


def test_arrays_that_are_not_asked_for_are_not_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.npz", x=X, y=Y, extra=np.zeros((200, 1 << 20), np.uint8))
    tracemalloc.start()
    load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20


def test_arrays_that_are_not_read_are_named(tmp_path: Path) -> None:
    """Names of parts without a sign, and labels without images."""
    apart = {"xtest": X[:5], "ytest": Y[:5], "y_val": Y[:5]}
    path = written(tmp_path / "a.npz", x_train=X, y_train=Y, **apart)
    assert f"Not read of {path}: xtest, ytest, y_val." in load(path).notes
    assert not any("Not read" in note for note in load(written(tmp_path / "b.npz", x=X, y=Y)).notes)


@pytest.mark.parametrize("kind", [np.int64, np.float32])
def test_bytes_of_a_wide_type_stay_as_they_are_and_are_told(tmp_path: Path, kind: type) -> None:
    data = load(written(tmp_path / "a.npz", x=X.astype(kind), y=Y))
    assert data.x_train.max() > 200
    told = f"x holds whole numbers up to {X.max()}, which stay as they are: as uint8 they would become 0 to 1."
    assert told in data.notes
    for x in (X > 99, X / 255, X.astype(float) - 128):
        assert not any("whole" in note for note in load(written(tmp_path / "b.npz", x=x, y=Y)).notes)


@pytest.mark.parametrize(
    ("kind", "white", "largest"),
    [(np.uint8, 255, 1), (np.uint8, 255, 16), (np.uint16, 65535, 4095), (np.uint8, 255, 64)],
)
def test_a_scale_with_a_white_of_its_own_is_told(tmp_path: Path, kind: type, white: int, largest: int) -> None:
    x: np.ndarray = (X / 255 * largest).round().astype(kind)
    x[:, 0, 0] = largest
    data = load(written(tmp_path / "a.npz", x=x, y=Y), center=True)
    told = [note for note in data.notes if f"largest value is {largest}, where {white} is white" in note]
    assert len(told) == (largest < white / 8)


def test_images_that_memory_cannot_hold_are_refused_by_their_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.npz", x=np.zeros((100, 1000, 1000), np.uint8), y=np.arange(100) % 2)
    monkeypatch.setattr("convrfm.datasets.memory.free_memory", lambda: 10 << 20)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"x of .* must fit into memory; they need 477 MiB"):
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 << 20


def test_labels_that_memory_cannot_hold_are_refused_by_their_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.npz", x=X, y=np.full(30, "a").astype("U100000"))
    monkeypatch.setattr("convrfm.datasets.memory.free_memory", lambda: 1 << 20)
    with pytest.raises(InputError, match=r"y of .* must fit into memory"):
        load(path)


def test_a_header_that_claims_more_than_its_file_holds_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000, 8, 8), }"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 640)
    with pytest.raises(InputError, match="more than the file holds"):
        load(path)


@pytest.mark.real_data
def test_a_medmnist_file_is_read_as_it_is(real_data: Path) -> None:
    data = load(real_data / "medmnist" / "pneumoniamnist_small.npz")
    assert data.selection is not None
    assert [len(x) for x in (data.x_train, data.selection[0], data.x_test)] == [2428, 270, 468]
    assert data.x_train.shape[1:] == (1, 28, 28)
    assert data.classes == (0, 1)
