"""The lines that a refusal shows make a file that is read, of the files that people have."""

import gzip
import os
import pickle
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from convrfm.datasets import load
from convrfm.errors import InputError

RNG = np.random.default_rng(0)
COLOR = RNG.integers(256, size=(20, 3, 32, 32), dtype=np.uint8)
GRAY = RNG.integers(256, size=(20, 28, 28), dtype=np.uint8)
Y = np.arange(20, dtype=np.uint8) % 2


def idx(array: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def write_npy(folder: Path) -> tuple[Path, np.ndarray]:
    np.save(folder / "BIRDS.npy", COLOR)
    np.save(folder / "LABELS.npy", Y)
    return folder / "BIRDS.npy", COLOR


def write_svhn(folder: Path) -> tuple[Path, np.ndarray]:
    savemat(folder / "train_32x32.mat", {"X": COLOR.transpose(2, 3, 1, 0), "y": Y[:, None]})
    return folder / "train_32x32.mat", COLOR


def write_idx(folder: Path) -> tuple[Path, np.ndarray]:
    (folder / "train-images-idx3-ubyte").write_bytes(idx(GRAY))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(Y))
    return folder / "train-images-idx3-ubyte", GRAY[:, None]


def write_idx_gz(folder: Path) -> tuple[Path, np.ndarray]:
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(GRAY)))
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(Y)))
    return folder / "t10k-images-idx3-ubyte.gz", GRAY[:, None]


def write_cifar(folder: Path) -> tuple[Path, np.ndarray]:
    batch = {"data": COLOR.reshape(20, -1), "labels": Y.tolist(), "batch_label": "one"}
    (folder / "data_batch_1").write_bytes(pickle.dumps(batch, protocol=2))
    return folder / "data_batch_1", COLOR


@pytest.mark.parametrize("write", [write_npy, write_svhn, write_idx, write_idx_gz, write_cifar])
@pytest.mark.parametrize("pass_folder", [False, True])
def test_the_lines_that_are_shown_convert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any, pass_folder: bool
) -> None:
    path, x = write(tmp_path)
    with pytest.raises(InputError, match="Two lines make an") as refusal:
        load(tmp_path if pass_folder else path)
    lines = re.findall(r"^    (.+)$", str(refusal.value), re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    exec("\n".join(lines), {})
    (made,) = tmp_path.glob("*.npz")
    data = load(made)
    rows = [int(name) for name in data.names_train]
    np.testing.assert_allclose(data.x_train, x[rows] / 255, atol=1e-6)
    np.testing.assert_array_equal(data.y_train, Y[rows])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("photos.zip", b"PK\x03\x04", "Unpack it"),
        ("photos.tar.gz", b"\x1f\x8b\x08", "Unpack it"),
        ("photos.tar", b"\0" * 257 + b"ustar", "Unpack it"),
        ("table.csv", b"name,label\n", r"labels=.*table\.csv"),
        ("a.h5", b"\x89HDF\r\n", "h5py"),
        ("notes.txt", b"hello", "a file of another kind. Look at the path"),
    ],
)
def test_other_files_are_refused_with_what_helps(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        load(tmp_path / name)


def test_a_pipe_among_the_files_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found: list[BaseException] = []

    def attempt() -> None:
        try:
            load(tmp_path)
        except InputError as error:
            found.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(10)
    assert len(found) == 1
