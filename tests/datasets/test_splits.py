"""Folders of parts are parts and not classes; which reading is meant is never guessed in silence."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convrfm.datasets import load, load_for_prediction
from convrfm.datasets.catalogue import read_source
from convrfm.datasets.preprocessing import Preprocessing
from convrfm.datasets.sources import Reading
from convrfm.errors import InputError

LAYOUTS = [
    ("train", "test"),
    ("Train", "TEST"),
    ("training", "testing"),
    ("training_set", "test_set"),
    ("trainset", "testset"),
    ("train_images", "test_images"),
    ("images_train", "images_test"),
    ("Training Data", "Testing Data"),
    ("seg_train/seg_train", "seg_test/seg_test"),
]
VALIDATION = ["val", "valid", "validation", "Val", "validation_set", "dev"]


def fill(folder: Path, n: int, seed: int = 0) -> None:
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for i in range(n):
        Image.fromarray(generator.integers(256, size=(4, 5, 3), dtype=np.uint8)).save(folder / f"{i}.png")


def fill_classes(folder: Path, n: int, seed: int = 0) -> Path:
    for i, name in enumerate(("cat", "dog")):
        fill(folder / name, n, 2 * seed + i)
    return folder


@pytest.mark.parametrize(("train", "test"), LAYOUTS)
def test_usual_names_of_parts_are_parts(tmp_path: Path, train: str, test: str) -> None:
    fill_classes(tmp_path / train, 4)
    fill_classes(tmp_path / test, 2, seed=1)
    data = load(tmp_path)
    assert data.classes == ("cat", "dog")
    assert (len(data.x_train), len(data.x_test), data.selection) == (8, 4, None)


@pytest.mark.parametrize("name", VALIDATION)
def test_a_validation_part_is_apart_or_joins_training_and_never_tests(tmp_path: Path, name: str) -> None:
    fill_classes(tmp_path / "train", 10)
    fill_classes(tmp_path / name, 3, seed=1)
    apart = load(tmp_path)
    joined = load(tmp_path, validation="train")
    assert (len(apart.x_train), len(apart.x_test)) == (16, 4)
    assert apart.selection is not None
    x, y = apart.selection
    assert (len(x), y.tolist()) == (6, ["cat"] * 3 + ["dog"] * 3)
    assert (len(joined.x_train), len(joined.x_test), joined.selection) == (22, 4, None)
    np.testing.assert_array_equal(joined.x_test, apart.x_test)
    assert any("validation" in note for note in apart.notes)
    assert any("validation" in note for note in joined.notes)


def test_three_parts_keep_their_roles(tmp_path: Path) -> None:
    for i, part in enumerate(("train", "valid", "test")):
        fill_classes(tmp_path / part, 2 + i, seed=i)
    data = load(tmp_path)
    assert data.selection is not None
    assert [len(x) for x in (data.x_train, data.selection[0], data.x_test)] == [4, 6, 8]
    _, names, labels, _ = load_for_prediction(tmp_path, Preprocessing((4, 5), 3, 255.0))
    assert (len(names), sorted(set(labels))) == (8, ["cat", "dog"])


@pytest.mark.parametrize("names", [("train", "bus", "car"), ("train_station", "test_tube"), ("contest", "latest")])
def test_classes_that_sound_like_parts_stay_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    for i, name in enumerate(names):
        fill(tmp_path / name, 5, seed=i)
    assert load(tmp_path).classes == tuple(sorted(names))


@pytest.mark.parametrize("name", ["test", "Validation", "test_images"])
def test_a_class_that_is_called_like_a_part_is_told(tmp_path: Path, name: str) -> None:
    fill_classes(tmp_path, 5)
    plain = load(tmp_path).notes
    fill(tmp_path / name, 5, seed=7)
    data = load(tmp_path)
    assert data.classes == tuple(sorted(["cat", "dog", name]))
    told = [note for note in data.notes if note.startswith(f"{tmp_path / name} is taken for a class")]
    assert len(told) == 1
    assert "move it away" in told[0]
    assert not any("taken for a class" in note for note in plain)


def test_a_test_part_without_classes_is_not_a_class(tmp_path: Path) -> None:
    fill_classes(tmp_path / "train", 5)
    fill(tmp_path / "test", 3)
    with pytest.raises(InputError, match=r"pictures of .*test lie in no class folder.*Pass .*train.*predict .*test"):
        load(tmp_path)


@pytest.mark.parametrize("part", ["test", "valid"])
@pytest.mark.parametrize("folders", [["images"], ["unknown/deep"], ["a", "b"]])
def test_folders_of_a_part_that_training_does_not_know_are_no_classes(
    tmp_path: Path, part: str, folders: list[str]
) -> None:
    train = fill_classes(tmp_path / "train", 5)
    for i, name in enumerate(folders):
        fill(tmp_path / part / name, 3, seed=i)
    with pytest.raises(InputError) as refusal:
        load(tmp_path)
    assert str(refusal.value) == (
        f"the {'test' if part == 'test' else 'validation'} part of {tmp_path} must have labels that training knows, such as "
        f"cat, dog; got {', '.join(name.split('/')[0] for name in folders)}. Pass the training part alone, and label the "
        "others afterwards with convrfm predict; or name its classes as in training."
    )
    load(train)
    assert len(load_for_prediction(tmp_path / part, Preprocessing((4, 5), 3, 255.0))[0]) == 3 * len(folders)
    assert len(read_source(tmp_path, Reading()).train.names) == 10  # who asks for no labels reads them


def test_classes_that_validation_brings_to_training_are_known(tmp_path: Path) -> None:
    fill_classes(tmp_path / "train", 5)
    fill(tmp_path / "val" / "mouse", 3, seed=7)
    fill(tmp_path / "test" / "mouse", 2, seed=8)
    data = load(tmp_path, validation="train")
    assert (len(data.x_train), data.y_test.tolist()) == (13, ["mouse", "mouse"])
    with pytest.raises(InputError, match="the test part of"):
        load(tmp_path)


def test_a_part_of_which_training_knows_some_classes_is_read_and_the_others_are_told(tmp_path: Path) -> None:
    fill_classes(tmp_path / "train", 5)
    fill_classes(tmp_path / "test", 2, seed=1)
    fill(tmp_path / "test" / "unknown", 2, seed=9)
    data = load(tmp_path)
    assert (data.classes, len(data.x_test)) == (("cat", "dog", "unknown"), 6)
    assert "No training image has class unknown." in data.notes


def test_validation_images_of_classes_that_training_lacks_are_left_out_and_named(tmp_path: Path) -> None:
    fill_classes(tmp_path / "train", 5)
    fill_classes(tmp_path / "val", 2, seed=1)
    fill(tmp_path / "val" / "unknown", 3, seed=9)
    fill_classes(tmp_path / "test", 2, seed=2)
    data = load(tmp_path)
    assert data.selection is not None
    assert data.selection[1].tolist() == ["cat", "cat", "dog", "dog"]
    assert len(data.selection[0]) == 4
    assert any(
        "validation part: 3 images of class unknown, of which there is no training" in note for note in data.notes
    )


def test_parts_of_loose_pictures_need_classes(tmp_path: Path) -> None:
    fill(tmp_path / "train_images", 5)
    fill(tmp_path / "test_images", 3)
    with pytest.raises(InputError, match=r"pictures of .*train_images lie in no class folder.*labels"):
        load(tmp_path)


def test_a_part_alone_is_not_a_class(tmp_path: Path) -> None:
    fill_classes(tmp_path / "train", 5)
    with pytest.raises(InputError, match=r"only the folder train.*Pass .*train"):
        load(tmp_path)
    fill(tmp_path / "unlabeled", 5)
    with pytest.raises(InputError, match=r"train.*part and not a class.*Pass .*train"):
        load(tmp_path)


@pytest.mark.parametrize("inner", ["pets", "pets/pets", "a/b/c"])
def test_folders_around_everything_are_named_with_the_inner_one_to_pass(tmp_path: Path, inner: str) -> None:
    folder = fill_classes(tmp_path / "archive" / inner, 5)
    with pytest.raises(InputError, match=rf"only the folder {inner}, around cat, dog\. Pass {folder}\.$"):
        load(tmp_path / "archive")


def test_one_class_at_any_depth_is_one_class(tmp_path: Path) -> None:
    fill(tmp_path / "cat" / "2024" / "july", 5)
    with pytest.raises(InputError, match="at least two classes; got only 'cat'"):
        load(tmp_path)


def test_the_same_folders_everywhere_are_asked_about(tmp_path: Path) -> None:
    for i, site in enumerate(("site_a", "site_b")):
        fill_classes(tmp_path / site, 5, seed=i)
    with pytest.raises(InputError, match=r"each of site_a, site_b holds the folders cat, dog.*If .* are the classes"):
        load(tmp_path)


def test_one_inner_folder_of_the_same_name_is_no_question(tmp_path: Path) -> None:
    for i, name in enumerate(("cat", "dog")):
        fill(tmp_path / name / "images", 5, seed=i)
    assert load(tmp_path).classes == ("cat", "dog")


def test_two_folders_for_one_part_are_asked_about(tmp_path: Path) -> None:
    for i, part in enumerate(("train", "training", "test")):
        fill_classes(tmp_path / part, 5, seed=i)
    with pytest.raises(InputError, match="train and training"):
        load(tmp_path)


def test_a_stray_picture_beside_parts_changes_nothing_and_is_named(tmp_path: Path) -> None:
    fill_classes(tmp_path / "train", 5)
    fill_classes(tmp_path / "test", 2, seed=1)
    expected = load_for_prediction(tmp_path, Preprocessing((4, 5), 3, 255.0))
    Image.new("RGB", (9, 9)).save(tmp_path / "cover.png")
    x, names, labels, notes = load_for_prediction(tmp_path, Preprocessing((4, 5), 3, 255.0))
    np.testing.assert_array_equal(x, expected[0])
    assert (names, labels.tolist()) == (expected[1], ["cat"] * 2 + ["dog"] * 2)
    told = f"Left out of {tmp_path}, beside test and train: cover.png."
    assert notes == (told, *expected[3])
    assert told in load(tmp_path).notes


def test_class_folders_beside_loose_pictures_are_predicted_without_labels_and_that_is_said(tmp_path: Path) -> None:
    fill_classes(tmp_path, 3)
    Image.new("RGB", (5, 4), "red").save(tmp_path / "cover.png")
    _, names, labels, notes = load_for_prediction(tmp_path, Preprocessing((4, 5), 3, 255.0))
    assert (len(names), labels) == (7, None)
    assert notes == (
        f"The folders of {tmp_path} (cat, dog) were not taken for classes, since pictures lie beside them (cover.png): all "
        "were read without labels.",
    )


def test_a_stray_picture_hides_no_advice(tmp_path: Path) -> None:
    inner = fill_classes(tmp_path / "archive", 5)
    Image.new("RGB", (5, 4)).save(tmp_path / "cover.png")
    with pytest.raises(InputError, match=rf"only the folder archive, around cat, dog\. Pass {inner}\.$"):
        load(tmp_path)


@pytest.mark.parametrize("parts", [[""], ["train", "test"]])
def test_a_folder_that_is_no_class_is_told_what_its_pictures_need(tmp_path: Path, parts: list[str]) -> None:
    for part in parts:
        fill(tmp_path / part / "images", 5)
        (tmp_path / part / "labels").mkdir()
    with pytest.raises(InputError) as refusal:
        load(tmp_path)
    assert str(refusal.value) == (
        f"{tmp_path} must have at least two classes; got only 'images'. Add another. If this folder is no class: Move each "
        "picture into the folder of its class, or fit with a table of file names and labels: labels=table.csv."
    )


def test_classes_that_no_test_image_has_are_told(tmp_path: Path) -> None:
    fill_classes(tmp_path, 10)
    fill(tmp_path / "lone", 1, seed=9)
    told = "No test image has class lone: no score counts how well it is known."
    assert told in load(tmp_path).notes
    fill(tmp_path / "lone" / "more", 9, seed=10)
    assert told not in load(tmp_path).notes
