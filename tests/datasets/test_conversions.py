"""The lines that a refusal shows make a file that is read, of the files that people have."""

import gzip
import io
import os
import pickle
import re
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
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


def write_idx_of_kaggle(folder: Path) -> tuple[Path, np.ndarray]:
    (folder / "train-images.idx3-ubyte").write_bytes(idx(GRAY))
    (folder / "train-labels.idx1-ubyte").write_bytes(idx(Y))
    return folder / "train-labels.idx1-ubyte", GRAY[:, None]


def write_idx_of_kaggle_in_folders_too(folder: Path) -> tuple[Path, np.ndarray]:
    """As it unpacks: every file once more, in a folder of its own that is the first by name."""
    for name, array in (("images-idx3", GRAY), ("labels-idx1", Y)):
        (folder / f"train-{name}-ubyte").mkdir()
        (folder / f"train-{name}-ubyte" / f"train-{name}-ubyte").write_bytes(idx(array))
    return write_idx_of_kaggle(folder)


def write_cifar(folder: Path) -> tuple[Path, np.ndarray]:
    batch = {"data": COLOR.reshape(20, -1), "labels": Y.tolist(), "batch_label": "one"}
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["airplane", "automobile"]}, protocol=2))
    (folder / "data_batch_1").write_bytes(pickle.dumps(batch, protocol=2))
    return folder / "data_batch_1", COLOR


def write_cifar100(folder: Path) -> tuple[Path, np.ndarray]:
    batch = {"data": COLOR.reshape(20, -1), "fine_labels": Y.tolist(), "coarse_labels": [0] * 20}
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": ["apple", "bear"]}, protocol=2))
    (folder / "train").write_bytes(pickle.dumps(batch, protocol=2))
    return folder / "train", COLOR


def write_pixels(folder: Path) -> tuple[Path, np.ndarray]:
    """As Kaggle has digits: a table without labels is there too, and one of another kind."""
    (folder / "sample_submission.csv").write_text("ImageId,Label\n1,0\n", encoding="utf-8")
    header = ",".join(f"pixel{place}" for place in range(28 * 28))
    rows = [",".join(map(str, image.ravel())) for image in GRAY]
    (folder / "test.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    labeled = [f"{label},{row}" for label, row in zip(Y, rows, strict=True)]
    (folder / "train.csv").write_text("\n".join([f"label,{header}", *labeled]), encoding="utf-8")
    return folder / "train.csv", GRAY[:, None]


def write_pixels_by_row_and_column(folder: Path) -> tuple[Path, np.ndarray]:
    header = ",".join([f"{row}x{column}" for row in range(1, 29) for column in range(1, 29)] + ["label"])
    rows = [",".join(map(str, [*image.ravel(), label])) for image, label in zip(GRAY, Y, strict=True)]
    (folder / "mnist.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    return folder / "mnist.csv", GRAY[:, None]


def write_pixels_of_colors(folder: Path) -> tuple[Path, np.ndarray]:
    """As Kaggle has skin lesions: the colors of a pixel side by side, labels last."""
    header = ",".join([*(f"pixel{place:04}" for place in range(COLOR[0].size)), "label"])
    rows = [
        ",".join(map(str, [*np.moveaxis(image, 0, -1).ravel(), label])) for image, label in zip(COLOR, Y, strict=True)
    ]
    (folder / "lesions.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    return folder / "lesions.csv", COLOR


def write_tensors(folder: Path) -> tuple[Path, np.ndarray]:
    torch.save((torch.from_numpy(GRAY), torch.from_numpy(Y)), folder / "training.pt")
    return folder / "training.pt", GRAY[:, None]


def write_matlab_73(folder: Path) -> tuple[Path, np.ndarray]:
    (folder / "svhn.mat").write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n")
    return folder / "svhn.mat", COLOR


def as_h5py_reads(name: str, mode: str) -> dict[str, np.ndarray]:
    """The arrays of such a file: with MATLAB's axes in reverse, since MATLAB stores them the other way round."""
    assert (name, mode) == ("svhn.mat", "r")
    in_matlab = {"X": COLOR.transpose(2, 3, 1, 0), "y": Y[:, None]}
    return {key: array.T for key, array in in_matlab.items()}


WRITERS = [
    write_npy, write_svhn, write_matlab_73, write_idx, write_idx_gz, write_idx_of_kaggle, write_idx_of_kaggle_in_folders_too,
    write_cifar, write_cifar100, write_pixels, write_pixels_by_row_and_column, write_pixels_of_colors, write_tensors,
]  # fmt: skip


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("given", ["the file", "its folder", "the folder around"])
def test_the_lines_that_are_shown_convert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any, given: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path, x = write(folder)
    with pytest.raises(InputError, match="Two lines make an") as refusal:
        load({"the file": path, "its folder": folder, "the folder around": tmp_path}[given])
    assert given == "the file" or f"In {folder}: Two lines" in str(refusal.value)
    lines = re.findall(r"^    (.+)$", str(refusal.value), re.MULTILINE)
    monkeypatch.setitem(sys.modules, "h5py", SimpleNamespace(File=as_h5py_reads))
    monkeypatch.chdir(folder)
    exec("\n".join(lines), {})
    (made,) = folder.glob("*.npz")
    data = load(made)
    rows = [int(name) for name in data.names_train]
    np.testing.assert_allclose(data.x_train, x[rows] / 255, atol=1e-6)
    np.testing.assert_array_equal(data.y_train, Y[rows])


class SavedToDisk:
    """Follows Hugging Face's datasets."""

    def to_parquet(self, path: str) -> None:
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        cells = []
        for image in GRAY:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "PNG")
            cells.append({"bytes": buffer.getvalue()})
        pq.write_table(pa.table({"image": cells, "label": Y}), path)


@pytest.mark.parametrize("parts", [["."], ["train", "test"]])
def test_the_line_that_is_shown_writes_parquet_of_what_hugging_face_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: list[str]
) -> None:
    for part in parts:
        (tmp_path / part).mkdir(exist_ok=True)
        (tmp_path / part / "data-00000-of-00001.arrow").write_bytes(b"\xff\xff\xff\xff\x10\0\0\0")
        (tmp_path / part / "state.json").write_text("{}", encoding="utf-8")
    if len(parts) > 1:
        (tmp_path / "dataset_dict.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=rf"pass {tmp_path} after that") as refusal:
        load(tmp_path)
    place = re.search(r"In (.+): Two lines", str(refusal.value))
    assert place is not None

    def load_from_disk(folder: str) -> SavedToDisk | dict[str, SavedToDisk]:
        assert Path(folder).resolve() == tmp_path
        return SavedToDisk() if len(parts) == 1 else {part: SavedToDisk() for part in parts}

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_from_disk=load_from_disk))
    monkeypatch.chdir(place[1])
    exec("\n".join(re.findall(r"^    (.+)$", str(refusal.value), re.MULTILINE)), {})
    data = load(tmp_path)
    assert (len(data.x_train), len(data.x_test)) == ((16, 4) if len(parts) == 1 else (20, 20))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("photos.zip", b"PK\x03\x04", "Unpack it"),
        ("photos.tar.gz", b"\x1f\x8b\x08", "Unpack it"),
        ("photos.tar", b"\0" * 257 + b"ustar", "Unpack it"),
        ("table.csv", b"name,label\n", r"labels=.*table\.csv"),
        ("marks.csv", b"label,pixel0,pixel1\n", r"labels=.*marks\.csv"),
        ("table.xlsx", b"PK\x03\x04", r"Save it as CSV.*to predict, .*labels='.*/table\.csv'"),
        ("model.keras", b"PK\x03\x04", "a file of another kind. What is read"),
        ("a.h5", b"\x89HDF\r\n", "h5py"),
        ("batches.meta", pickle.dumps({"label_names": ["cat"]}), "a file of another kind. What is read"),
        ("notes.txt", b"hello", "a file of another kind. What is read"),
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
