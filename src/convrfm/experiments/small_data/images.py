"""The data sets, each as a pool to draw training images from, held-out images of the same pool, and test images."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt8
from sklearn.datasets import load_digits

from ...datasets.atlases import tiles_of
from ...errors import InputError

N_OTHERS = 1000  # held-out images, and test images by default; at most half of a set

Read = Callable[[str], tuple[UInt8[np.ndarray, "n c h w"], np.ndarray]]


@dataclass(frozen=True)
class LabeledImages:
    """Images from 0 to 1 and the numbers of their classes."""

    x: Float32[np.ndarray, "n c h w"]
    y: Int64[np.ndarray, " n"]

    @property
    def pixels(self) -> Float32[np.ndarray, "n p"]:
        """Every image as one vector."""
        return self.x.reshape(len(self.x), -1)

    def take(self, indices: Int64[np.ndarray, " m"]) -> "LabeledImages":
        """Some of them, in this order."""
        return LabeledImages(self.x[indices], self.y[indices])


@dataclass
class DataSet:
    """One data set, read when it is first needed; `read` takes "train" or "test"."""

    name: str
    read: Read
    n_test: int = N_OTHERS

    @cached_property
    def test(self) -> LabeledImages:
        """n_test images of the test set, or half of a set that has fewer than twice as many.

        Always the same; those of a smaller n_test are part of those of a larger one.
        """
        return self._drawn("test", self.n_test)[0]

    @cached_property
    def held_out(self) -> LabeledImages:
        """1000 images of the training set, or half of a set that has fewer than 2000, always the same."""
        return self._training_part[0]

    @cached_property
    def pool(self) -> LabeledImages:
        """All others of the training set."""
        return self._training_part[1]

    def training_images(self, n: int, seed: int) -> LabeledImages:
        """n images of the pool; those of a smaller n are part of those of a larger one.

        Raises:
            InputError: If the pool has fewer.
        """
        if n > len(self.pool.y):
            raise InputError(
                f"n must be at most {len(self.pool.y)}, the images of {self.name} that are not held out; got n = {n}. "
                "Train on fewer images, or leave this data set out."
            )
        return self.pool.take(balanced_order(self.pool.y, np.random.default_rng([seed, 1]))[:n])

    @cached_property
    def _training_part(self) -> tuple[LabeledImages, LabeledImages]:
        return self._drawn("train", N_OTHERS)

    def _drawn(self, part: str, n: int) -> tuple[LabeledImages, LabeledImages]:
        """The images that never train, always the same, and all others."""
        try:
            raw, labels = self.read(part)
        except (OSError, ValueError, LookupError) as error:
            raise InputError(f"{self.name} cannot be read ({error}). --data must be {WANTED}") from error
        images = LabeledImages(raw.astype(np.float32) / 255, labels.astype(np.int64))
        order = balanced_order(images.y, np.random.default_rng(0))
        size = min(n, len(order) // 2)
        return images.take(order[:size]), images.take(order[size:])


def balanced_order(labels: Int64[np.ndarray, " n"], generator: np.random.Generator) -> Int64[np.ndarray, " n"]:
    """A random order of which every leading part holds all classes equally often, to within one image.

    Classes that are used up leave their places to the others.
    """
    turns = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        turns[members] = np.arange(len(members))
    return np.lexsort((generator.random(len(labels)), turns))


CLASSES = {"CIFAR-10": 10, "GTSRB": 43, "USPS": 10, "Fashion-MNIST": 10, "PneumoniaMNIST": 2, "digits": 10}
WANTED = (
    "a folder with cifar10/ and gtsrb32/ (atlases train_00.png, ... of 50 x 40 tiles, and train_labels.npy), usps.npz and "
    "fashion-mnist/ (the four idx files, as Debian's package dataset-fashion-mnist brings them)."
)


@cache
def data_set(name: str, data: Path, n_test: int = N_OTHERS) -> DataSet:
    """One data set of a folder, read once in a process; "digits" are those that scikit-learn bundles.

    Raises:
        InputError: If there is none of this name.
    """
    reads: dict[str, Read] = {
        "CIFAR-10": partial(read_atlases, data / "cifar10"),
        "GTSRB": partial(read_atlases, data / "gtsrb32"),
        "USPS": partial(read_npz, data / "usps.npz"),
        "MNIST": partial(read_npz, data / "mnist.npz"),
        "PneumoniaMNIST": partial(read_medmnist, data / "medmnist" / "pneumoniamnist_small.npz"),
        "Fashion-MNIST": partial(read_idx, data / "fashion-mnist"),
        "digits": read_digits,
    }
    if name not in reads:
        raise InputError(f"data sets must be of {', '.join(reads)}; got {name}.")
    return DataSet(name, reads[name], n_test)


def read_atlases(folder: Path, part: str) -> tuple[UInt8[np.ndarray, "n c h w"], np.ndarray]:
    """Pictures of color tiles, row by row."""
    tiles = [tiles_of(path) for path in sorted(folder.glob(f"{part}_*.png"))]
    return np.concatenate(tiles), np.load(folder / f"{part}_labels.npy")


def read_digits(part: str) -> tuple[UInt8[np.ndarray, "n c h w"], np.ndarray]:
    """Two thirds of scikit-learn's digits, of 8 x 8 pixels, for training, the others for testing."""
    pixels, labels = load_digits(return_X_y=True)
    images = np.round(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    mine = (np.arange(len(labels)) % 3 == 2) == (part == "test")
    return images[mine], labels[mine]


def read_npz(path: Path, part: str) -> tuple[UInt8[np.ndarray, "n c h w"], np.ndarray]:
    """`x_train`, `y_train`, `x_test` and `y_test`, in gray."""
    with np.load(path) as arrays:
        return arrays[f"x_{part}"][:, None], arrays[f"y_{part}"]


def read_medmnist(path: Path, part: str) -> tuple[UInt8[np.ndarray, "n c h w"], np.ndarray]:
    """`train_images`, `train_labels`, `test_images` and `test_labels` of a file of MedMNIST, in gray."""
    with np.load(path) as arrays:
        return arrays[f"{part}_images"][:, None], arrays[f"{part}_labels"][:, 0]


def read_idx(folder: Path, part: str) -> tuple[UInt8[np.ndarray, "n c h w"], np.ndarray]:
    """The four files of the official Fashion-MNIST, as Debian's package `dataset-fashion-mnist` brings them."""
    prefix = {"train": "train", "test": "t10k"}[part]
    images, labels = (gzip.decompress((folder / f"{prefix}-{kind}-ubyte.gz").read_bytes()) for kind in IDX_HEADERS)
    x = np.frombuffer(images, np.uint8, offset=IDX_HEADERS["images-idx3"])
    return x.reshape(-1, 1, 28, 28), np.frombuffer(labels, np.uint8, offset=IDX_HEADERS["labels-idx1"])


IDX_HEADERS = {"images-idx3": 16, "labels-idx1": 8}  # bytes
