"""`.npz` files: images in, or a worded error."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convrfm.datasets import load
from convrfm.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.integers(256, size=(20, 6, 8), dtype=np.uint8)
Y = np.arange(20) % 2


def written(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("x", [X, X[:, None]])
def test_bytes_become_fractions(tmp_path: Path, x: np.ndarray) -> None:
    data = load(written(tmp_path / "a.npz", x=x, y=Y))
    assert (len(data.x_train), len(data.x_test)) == (16, 4)
    rows = [int(name) for name in data.names_train]
    np.testing.assert_allclose(data.x_train[:, 0], X[rows] / 255, atol=1e-6)
    np.testing.assert_array_equal(data.y_train, Y[rows])


@pytest.mark.parametrize("kind", ["<u2", ">u2"])
def test_sixteen_bits_become_fractions_in_any_order_of_bytes(tmp_path: Path, kind: str) -> None:
    x = RNG.integers(65536, size=(20, 6, 8)).astype(kind)
    data = load(written(tmp_path / "a.npz", x=x, y=Y))
    rows = [int(name) for name in data.names_train]
    np.testing.assert_allclose(data.x_train[:, 0], x[rows] / 65535, atol=1e-6)
    assert data.preprocessing.divide_by == 65535


def test_floats_stay_and_stored_parts_stay_apart(tmp_path: Path) -> None:
    x = RNG.standard_normal((20, 3, 5, 5))
    path = written(tmp_path / "a.npz", x_train=x[:12], y_train=Y[:12], x_test=x[12:], y_test=Y[12:])
    data = load(path)
    np.testing.assert_allclose(data.x_test, x[12:], rtol=1e-6)
    np.testing.assert_array_equal(data.y_test, Y[12:])
    assert sorted(map(int, data.names_train)) == list(range(12))
    assert data.notes == ()


@pytest.mark.parametrize("y", [np.where(Y, "cat", "dog"), Y.astype(float), Y.astype(bool), Y.astype("u1")])
def test_labels_become_integers_or_stay_strings(tmp_path: Path, y: np.ndarray) -> None:
    data = load(written(tmp_path / "a.npz", x=X, y=y))
    assert data.classes == (("cat", "dog") if y.dtype.kind == "U" else (0, 1))


FAULTS = [
    ({"x": X, "y": Y[:19]}, r"a\.npz: y: y must have .* 19 labels for 20 images"),
    ({"x": X}, "must have labels"),
    ({"x": X, "y": np.zeros(20, int)}, "at least two classes"),
    ({"photos": X, "species": Y}, "must hold x and y.*got photos, species"),
    ({}, "no array"),
    ({"x": np.where(X > 250, np.nan, X), "y": Y}, r"a\.npz: x: x must be finite"),
    ({"x": X.astype(object), "y": Y}, "plain arrays"),
    ({"x_train": X, "y_train": Y, "x_test": X / 255, "y_test": Y}, "white at 255 and 1"),
    ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y.astype(str)}, "must be alike"),
]


@pytest.mark.parametrize(("arrays", "message"), FAULTS)
def test_arrays_that_are_no_data_set_are_refused_in_words(tmp_path: Path, arrays: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(written(tmp_path / "a.npz", **arrays))


class Trap:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("sprung"),)


def test_python_objects_are_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path / "inside.npz", x=X, y=np.array([Trap()] * 20, object))
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Trap()))
    for file in (path, tmp_path / "bare.npz"):
        with pytest.raises(InputError, match="plain arrays"):
            load(file)
    assert not Path("sprung").exists()


def test_damage_anywhere_gives_images_or_a_worded_error(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=X, y=Y)
    whole = path.read_bytes()
    refused = 0
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError):
            load(path)
    for position in RNG.integers(len(whole), size=200):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        try:
            load(path)
        except InputError:
            refused += 1
    assert refused > 100
