"""Atlases of tiles, and data sets that are found by their names."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from convrfm.commands.choices import PixelScale, Unreadable
from convrfm.commands.cnfa import CnfaSettings, Subject, images_of
from convrfm.datasets import Preprocessing, find_data_set, load, load_for_prediction
from convrfm.errors import InputError

RNG = np.random.default_rng(0)


def write_atlas(folder: Path, part: str, n: int = 2000, side: int = 3) -> np.ndarray:
    """Random tiles `(n, 3, side, side)`, placed one by one; labels count modulo 5."""
    tiles = RNG.integers(256, size=(n, side, side, 3), dtype=np.uint8)
    folder.mkdir(exist_ok=True)
    for number, first in enumerate(range(0, n, 2000)):
        atlas = np.zeros((50 * side, 40 * side, 3), np.uint8)
        for place, tile in enumerate(tiles[first : first + 2000]):
            row, column = divmod(place, 40)
            atlas[row * side : (row + 1) * side, column * side : (column + 1) * side] = tile
        Image.fromarray(atlas).save(folder / f"{part}_{number:02}.png")
    np.save(folder / f"{part}_labels.npy", (np.arange(n) % 5).astype(np.uint8))
    return tiles.transpose(0, 3, 1, 2)


def test_tiles_are_read_row_by_row(tmp_path: Path) -> None:
    train, test = write_atlas(tmp_path / "a", "train", 4000), write_atlas(tmp_path / "a", "test")
    data = load(tmp_path / "a")
    np.testing.assert_allclose(data.x_test * 255, test, atol=1e-4)
    order = [int(name) for name in data.names_train]
    np.testing.assert_allclose(data.x_train * 255, train[order], atol=1e-4)
    np.testing.assert_array_equal(data.y_train, np.array(order) % 5)
    assert sorted(order) == list(range(4000))


def test_tiles_not_atlases_are_predicted_and_measured_on(tmp_path: Path) -> None:
    write_atlas(tmp_path / "a", "train")
    test = write_atlas(tmp_path / "a", "test", 40)
    x, _, labels, _ = load_for_prediction(tmp_path / "a", Preprocessing((3, 3), 3, 255.0))
    np.testing.assert_allclose(x * 255, test, atol=1e-4)
    assert labels is not None
    settings = CnfaSettings(
        "",
        str(tmp_path / "a"),
        None,
        None,
        None,
        None,
        None,
        9,
        3,
        PixelScale.NONE,
        unreadable=Unreadable.ERROR,
        download=False,
        seed=0,
        device="cpu",
    )
    images, notes = images_of(settings, Subject(nn.Identity(), None, 3, (3, 3), None))
    assert images.shape == (9, 3, 3, 3)
    assert any("test part" in note and "40" in note for note in notes)
    _, notes = images_of(settings, Subject(nn.Identity(), None, 3, (2, 3), None))
    assert any("proportions of 2 x 3: 40 of 40 pictures of" in note for note in notes)


def test_classes_have_their_names(tmp_path: Path) -> None:
    write_atlas(tmp_path / "a", "train")
    names = ["traffic light", "dog", "great ape", "fox", "cow"]
    (tmp_path / "a" / "classes.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    data = load(tmp_path / "a")
    assert data.y_train.tolist() == [names[int(place) % 5] for place in data.names_train]
    assert data.notes[0].startswith("A stratified fifth of the 2000 images")


def test_labels_may_be_names(tmp_path: Path) -> None:
    write_atlas(tmp_path / "a", "train")
    names = np.array(["traffic light", "dog"])[np.arange(2000) % 2]
    np.save(tmp_path / "a" / "train_labels.npy", names)
    data = load(tmp_path / "a")
    assert data.y_train.tolist() == [names[int(place)] for place in data.names_train]


def test_the_last_atlas_need_not_be_full(tmp_path: Path) -> None:
    write_atlas(tmp_path / "a", "train", 2500)
    data = load(tmp_path / "a")
    assert len(data.x_train) + len(data.x_test) == 2500
    assert "The last 1500 tiles of train_01.png have no label." in data.notes


def test_atlases_follow_their_numbers_however_many_digits_these_have(tmp_path: Path) -> None:
    train = write_atlas(tmp_path / "a", "train", 22000, side=1)
    for number in range(10):
        (tmp_path / "a" / f"train_{number:02}.png").rename(tmp_path / "a" / f"train_{number}.png")
    data = load(tmp_path / "a", n_train=200)
    order = [int(name) for name in data.names_train]
    np.testing.assert_allclose(data.x_train * 255, train[order], atol=1e-4)


def test_what_lies_beside_atlases_is_named(tmp_path: Path) -> None:
    for part in ("train", "val"):
        write_atlas(tmp_path / "a", part)
    beside = f"Left out of {tmp_path / 'a'}, beside the atlases: val_00.png, val_labels.npy."
    assert beside in load(tmp_path / "a").notes


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda a: Image.new("RGB", (41, 50)).save(a / "train_00.png"), "train_00.png must have 50 rows of 40"),
        (lambda a: np.save(a / "train_labels.npy", np.zeros(2001)), "2001 labels for 2000 images"),
        (lambda a: np.save(a / "train_labels.npy", np.array([print])), "must be an array of labels"),
        (lambda a: (a / "train_00.png").write_bytes(b"junk"), "train_00.png cannot be read as a picture"),
        (lambda a: (a / "classes.txt").write_text("cat\ndog\n", encoding="utf-8"), "classes 0 to 4, one .* it names 2"),
        (lambda a: (a / "classes.txt").write_bytes(b"caf\xe9\n"), "classes.txt must be text in UTF-8"),
    ],
    ids=["shape", "count", "objects", "junk", "names", "Latin-1"],
)
def test_faults_of_atlases_are_named(fault: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    write_atlas(tmp_path / "a", "train")
    fault(tmp_path / "a")
    with pytest.raises(InputError, match=message):
        load(tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("CIFAR-10", "cifar10"),
        ("CIFAR100", "CIFAR_100"),
        ("GTSRB", "gtsrb32"),
        ("MNIST", "mnist.npz"),
        ("PneumoniaMNIST", "medmnist/pneumoniamnist_small.npz"),
        ("FashionMNIST", "fashion-mnist.parquet"),
    ],
)
def test_data_sets_are_found_by_name(name: str, found: str, tmp_path: Path) -> None:
    for folder in ("cifar10", "CIFAR_100", "gtsrb32", "medmnist"):
        (tmp_path / folder).mkdir()
    for file in ("mnist.npz", "mnist.txt", "medmnist/pneumoniamnist_small.npz", "fashion-mnist.parquet"):
        (tmp_path / file).touch()
    assert find_data_set(name, tmp_path) == tmp_path / found


@pytest.mark.parametrize(
    ("there", "found"),
    [("cifar100", False), ("CIFAR-100", False), ("cifar10_32", True), ("cifar-10-small", True), ("cifar10v2", True)],
)
def test_a_number_in_a_name_is_a_whole_one(there: str, found: bool, tmp_path: Path) -> None:
    (tmp_path / there).mkdir()
    if found:
        assert find_data_set("CIFAR-10", tmp_path) == tmp_path / there
    else:
        with pytest.raises(InputError, match="must hold CIFAR-10"):
            find_data_set("CIFAR-10", tmp_path)


def test_what_is_not_found_or_found_twice_is_said(tmp_path: Path) -> None:
    (tmp_path / "svhn-a.npz").touch()
    (tmp_path / "svhn-b.npz").touch()
    with pytest.raises(InputError, match=r"must hold SVHN, .*got svhn-a\.npz, svhn-b\.npz\. Rename one"):
        find_data_set("SVHN", tmp_path)
    with pytest.raises(InputError, match=r"must hold DTD, .*got none\. It holds svhn-a\.npz, svhn-b\.npz"):
        find_data_set("DTD", tmp_path)
    with pytest.raises(InputError, match="must be a folder of data sets"):
        find_data_set("DTD", tmp_path / "nowhere")
