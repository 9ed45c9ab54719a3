"""`load`: fair, repeatable parts of any data."""

import inspect
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from convrfm.datasets import load
from convrfm.datasets.torchvision_sets import EDITIONS
from convrfm.errors import InputError, MissingDependencyError

NAMES = ["bars", "noisy-digits", "star", "sklearn:digits"]
every_name = pytest.mark.parametrize("name", NAMES)


@every_name
def test_the_seed_decides_everything(name: str) -> None:
    first, again = (load(name, n_train=40, n_test=30, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.x_train, again.x_train)
    np.testing.assert_array_equal(first.x_test, again.x_test)
    assert not np.array_equal(first.x_train, load(name, n_train=40, n_test=30, seed=6).x_train)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "star"])
def test_neither_part_depends_on_the_size_of_the_other(name: str) -> None:
    first = load(name, n_train=40, n_test=30)
    np.testing.assert_array_equal(first.x_train, load(name, n_train=40, n_test=10).x_train)
    np.testing.assert_array_equal(first.x_test, load(name, n_train=20, n_test=30).x_test)


@every_name
def test_every_leading_part_of_the_training_images_is_a_fair_sample(name: str) -> None:
    data = load(name, n_train=100, n_test=10)
    shares = [np.mean(data.y_train == label) for label in data.classes]
    for n in (20, 50):
        counts = [np.sum(data.y_train[:n] == label) for label in data.classes]
        assert np.abs(np.array(counts) - n * np.array(shares)).max() <= 1


def test_a_smaller_draw_is_part_of_a_larger_one() -> None:
    small, large = (load("sklearn:digits", n_train=n, n_test=10) for n in (30, 200))
    assert small.names_train == large.names_train[:30]


@pytest.mark.parametrize("name", ["noisy-digits", "sklearn:digits"])
def test_no_digit_is_in_both_parts(name: str) -> None:
    data = load(name)
    assert not set(data.names_train) & set(data.names_test)
    assert len(set(data.names_train)) == len(data.x_train)


def test_the_digits_of_the_test_part_are_not_those_of_training_in_disguise() -> None:
    data = load("noisy-digits", n_train=900, n_test=897, sigma=0.0)
    drawn = {image.tobytes() for image in data.x_train} & {image.tobytes() for image in data.x_test}
    assert not drawn


def test_the_center_comes_from_training_images_alone() -> None:
    plain, centered = (load("sklearn:digits", n_train=50, center=center) for center in (False, True))
    mean = plain.x_train.mean()
    np.testing.assert_allclose(centered.x_train, plain.x_train - mean, atol=1e-6)
    np.testing.assert_allclose(centered.x_test, plain.x_test - mean, atol=1e-6)
    assert centered.preprocessing.center == pytest.approx((mean,))


def test_what_was_drawn_is_said() -> None:
    assert load("star", n_train=20, n_test=10, seed=3).notes == (
        "20 train and 10 test images were generated with seed 3.",
    )
    assert load("sklearn:digits", n_train=100).notes == (
        "A stratified fifth of the 1797 images was held out for testing.",
        "100 of the 1438 train images were drawn, stratified by class, with seed 0.",
    )


def test_what_a_new_shape_cuts_off_of_arrays_is_said() -> None:
    told = "Cropped at the center to the proportions of 4 x 8: 1797 of 1797 pictures of sklearn:digits, with up to 50% of a"
    assert any(note.startswith(told) for note in load("sklearn:digits", image_size=(4, 8)).notes)
    assert not any("Cropped" in note for note in load("sklearn:digits", image_size=(4, 4)).notes)


def test_more_noise_is_more_noise() -> None:
    weak, strong = (load("bars", sigma=sigma).x_train.std() for sigma in (0.25, 4.0))
    assert strong > 3 * weak


FAULTS = [
    ("sklearn:digits", {"n_train": 1439}, "n_train must be at most 1438"),
    ("sklearn:digits", {"n_test": 360}, "n_test must be at most 359"),
    ("bars", {"n_train": 0}, "n_train must be an integer of at least 1; got 0"),
    ("noisy-digits", {"n_train": 1700, "n_test": 98}, "n_train . n_test must be at most 1797"),
    ("star", {"sigma": 1.0}, "sigma belongs to bars and noisy-digits; got it for star"),
    ("bars", {"image_size": (0, 8)}, "image_size must be"),
    ("noisy-digit", {}, "Did you mean noisy-digits"),
    ("no/such/folder", {}, "nothing of that name. Look at the path"),
    (__file__, {}, "a file of another kind"),
    ("torchvision:Imagenette2", {}, "torchvision:NAME must be one of"),
]


@pytest.mark.parametrize(("data", "options", "message"), FAULTS)
def test_what_cannot_be_had_is_refused_in_words(data: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(data, **options)


def test_a_missing_torchvision_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "convrfm\[vision\]"'):
        load("torchvision:CIFAR10")


class TwentyPictures:
    """Follows torchvision's convention: files are there, or are fetched when `download` is true."""

    asked: ClassVar[list[dict[str, object]]] = []

    def __init__(self, root: str, *, download: bool, **part: object) -> None:
        if not download:
            raise RuntimeError("Dataset not found.")
        self.asked.append(part)

    def __len__(self) -> int:
        return 20

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        return Image.new("RGB", (4, 4), (10 * i, 0, 0)), i % 2


@pytest.fixture
def torchvision_of_twenty(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Every data set is one of twenty pictures; what each part was asked for with."""
    datasets = ModuleType("torchvision.datasets")
    for name in EDITIONS:
        setattr(datasets, name, TwentyPictures)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)
    monkeypatch.setattr(TwentyPictures, "asked", [])
    return TwentyPictures.asked


def test_torchvision_downloads_only_when_it_may(torchvision_of_twenty: list[dict[str, object]], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Dataset not found\. Pass download=True"):
        load("torchvision:CIFAR10", root=tmp_path)
    data = load("torchvision:CIFAR10", root=tmp_path, download=True)
    np.testing.assert_allclose(data.x_test[:, 0, 0, 0], np.arange(20) * 10 / 255, atol=1e-6)
    np.testing.assert_array_equal(data.y_test, np.arange(20) % 2)
    assert "Cropped" not in " ".join(data.notes)
    cropped = load("torchvision:CIFAR10", root=tmp_path, download=True, image_size=(2, 4))
    assert "proportions of 2 x 4: 20 of 20 pictures of torchvision:CIFAR10, with up to 50% of a" in cropped.notes[0]


@pytest.mark.parametrize("name", sorted(EDITIONS))
def test_every_part_of_torchvision_s_data_sets_has_its_purpose(
    name: str, torchvision_of_twenty: list[dict[str, object]], tmp_path: Path
) -> None:
    data = load(f"torchvision:{name}", root=tmp_path, download=True, image_size=(2, 2))
    assert data.x_train.shape[1:] == (3, 2, 2)
    told = " ".join(str(part) for part in torchvision_of_twenty)
    assert (len(data.x_train), len(data.x_test)) == ((16, 4) if name == "Caltech101" else (20, 20))
    assert (data.selection is not None) == ("'val'" in told)
    assert len({str(part) for part in torchvision_of_twenty}) == len(torchvision_of_twenty)


@pytest.mark.parametrize("name", sorted(EDITIONS))
def test_torchvision_takes_what_it_is_asked_for(name: str, tmp_path: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    for part in EDITIONS[name].parts.values():
        signature = inspect.signature(getattr(datasets, name).__init__)
        signature.bind(None, str(tmp_path), download=False, **EDITIONS[name].options, **part)


@pytest.mark.real_data
@pytest.mark.skipif("CONVRFM_DATA" not in os.environ, reason="CONVRFM_DATA is not set")
def test_mnist_loads_from_its_file() -> None:
    data = load(Path(os.environ["CONVRFM_DATA"]) / "mnist.npz", n_train=100, n_test=50)
    assert data.x_train.shape == (100, 1, 28, 28)
    assert np.bincount(data.y_train).tolist() == pytest.approx([10] * 10, abs=2)
    assert 0 <= data.x_train.min() < data.x_train.max() <= 1


def test_star_draws_its_training_images_from_one_pool_of_equal_classes() -> None:
    draws = [load("star", n_train=20, n_test=60, seed=seed) for seed in range(6)]
    for data in draws:
        assert data.y_train.sum() + data.y_test.sum() == 40
    assert len({int(data.y_train.sum()) for data in draws}) > 1


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        (("Cat", "cat"), "'Cat' and 'cat'"),
        (("cat", "cat "), "'cat' and 'cat '"),
        (("sea  lion", "Sea lion"), "'Sea lion' and 'sea  lion'"),
        (("caf\xe9", "cafe\u0301"), r"'cafe\u0301' and 'caf\xe9'"),
        (("cat", "cats"), None),
    ],
)
def test_classes_that_look_alike_are_told_and_not_merged(
    pair: tuple[str, str], told: str | None, tmp_path: Path
) -> None:
    y = np.array([*pair, "dog"])[np.arange(30) % 3]
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).random((30, 6, 6)), y=y)
    data = load(tmp_path / "data.npz")
    assert data.classes == tuple(sorted([*pair, "dog"]))
    said = [note for note in data.notes if "differ in capitals" in note]
    assert len(said) == (told is not None)
    if told is not None:
        assert (f"{told}. Each is a class" if told.isascii() and "\\" not in told else "cafe") in said[0]


@pytest.mark.parametrize("source", ["folder", "table", "parts"])
def test_folders_and_tables_with_classes_that_look_alike_are_told(source: str, tmp_path: Path) -> None:
    lines = ["file,label"]
    for i in range(12):
        name = ["Cat", "cat", "dog"][i % 3]
        part = ["train", "test"][i % 3 == 1 or i > 8] if source == "parts" else ""
        path = tmp_path / "data" / part / ("" if source == "table" else name) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5), 20 * i, np.uint8)).save(path)
        lines.append(f"{i}.png,{name}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    data = load(tmp_path / "data", labels=tmp_path / "labels.csv" if source == "table" else None)
    assert data.classes == ("Cat", "cat", "dog")
    assert any("capitals, spaces or accents alone: 'Cat' and 'cat'." in note for note in data.notes)
