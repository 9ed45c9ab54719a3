"""Images to predict pass through what the training images passed through."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convrfm.datasets import Preprocessing, load, load_for_prediction
from convrfm.errors import InputError

RAW = np.random.default_rng(0).integers(256, size=(20, 6, 8, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, raw in enumerate(RAW):
        path = tmp_path / "classes" / "ab"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(raw).save(path)
    return tmp_path / "classes"


def test_training_images_come_back_as_they_were_trained_on(folder: Path) -> None:
    data = load(folder, image_size=(5, 5), center=True)
    x, names, labels, _ = load_for_prediction(folder, data.preprocessing)
    again = {name: (image, label) for name, image, label in zip(names, x, labels, strict=True)}
    for name, image, label in zip(data.names_train, data.x_train, data.y_train, strict=True):
        np.testing.assert_allclose(again[name][0], image, atol=1e-6)
        assert again[name][1] == label


def test_loose_pictures_and_a_single_one_have_no_labels(folder: Path) -> None:
    preprocessing = load(folder).preprocessing
    x, names, labels, notes = load_for_prediction(folder / "a", preprocessing)
    assert (len(x), names[1], labels, notes) == (10, "02.png", None, ())
    alone, names, labels, _ = load_for_prediction(folder / "a" / "02.png", preprocessing)
    np.testing.assert_array_equal(alone[0], x[1])
    assert (names, labels) == (("02.png",), None)


def test_an_array_file_gives_its_test_part_or_all_of_it(tmp_path: Path) -> None:
    x, y = np.moveaxis(RAW, -1, 1), np.arange(20)
    np.savez(tmp_path / "one.npz", x=x)
    np.savez(tmp_path / "two.npz", x_train=x[:15], y_train=y[:15], x_test=x[15:], y_test=y[15:])
    preprocessing = Preprocessing((6, 8), 3, 255.0)
    everything, _, labels, _ = load_for_prediction(tmp_path / "one.npz", preprocessing)
    assert (len(everything), labels) == (20, None)
    part, _, labels, _ = load_for_prediction(tmp_path / "two.npz", preprocessing)
    np.testing.assert_array_equal(part, everything[15:])
    np.testing.assert_array_equal(labels, y[15:])


def test_without_a_test_part_validation_images_are_taken_and_no_training_images(tmp_path: Path) -> None:
    file, x, y = tmp_path / "a.npz", np.moveaxis(RAW, -1, 1), np.arange(20) % 2
    np.savez(file, x_train=x[:15], y_train=y[:15], x_val=x[15:], y_val=y[15:])
    images, _, labels, notes = load_for_prediction(file, load(file).preprocessing)
    np.testing.assert_allclose(images, x[15:] / 255, atol=1e-6)
    np.testing.assert_array_equal(labels, y[15:])
    assert notes == (
        f"{file} has no test part: the 5 images for validation are taken, on which the fit may have chosen or learned; 15 "
        "for training are left out.",
    )


@pytest.mark.parametrize("with_validation", [False, True])
def test_of_data_in_parts_what_is_left_out_is_told(with_validation: bool, tmp_path: Path) -> None:
    file, x, y = tmp_path / "a.npz", np.moveaxis(RAW, -1, 1), np.arange(20) % 2
    parts = {"train": slice(9), "val": slice(9, 15), "test": slice(15, 20)}
    kept = {name: part for name, part in parts.items() if name != "val" or with_validation}
    np.savez(
        file,
        **{f"{kind}_{name}": values[part] for name, part in kept.items() for kind, values in {"x": x, "y": y}.items()},
    )
    _, names, _, notes = load_for_prediction(file, load(file).preprocessing)
    aside = "9 for training and 6 for validation" if with_validation else "9 for training"
    assert (len(names), notes) == (5, (f"Of {file} the 5 images for testing are taken; {aside} are left out.",))


def test_one_picture_that_is_given_by_several_paths_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    preprocessing = load(folder).preprocessing
    given = ["./a/00.png", f"{folder}/a/00.png", "a/02.png", "a/../a/02.png", "b/01.png"]
    x, names, _, notes = load_for_prediction(given, preprocessing)
    assert names == ("a/00.png", f"{folder}/a/00.png", "a/02.png", "a/../a/02.png", "b/01.png")
    np.testing.assert_array_equal(x[0], x[1])
    told = f"a/00.png and {folder}/a/00.png, a/02.png and a/../a/02.png"
    assert notes == (f"Given more than once, with a row each time: {told}.",)
    _, names, _, notes = load_for_prediction(["./a/", "./a/00.png"], preprocessing)
    assert (names[0], names[-1]) == ("a/00.png", "a/00.png")
    assert notes == ("Given more than once, with a row each time: a/00.png.",)
    assert load_for_prediction(["a/00.png", "b/01.png"], preprocessing)[3] == ()


@pytest.mark.parametrize("of_predict", [True, False])
def test_a_file_that_is_no_data_is_told_what_is_read(of_predict: bool, tmp_path: Path) -> None:
    file = tmp_path / "readme.txt"
    file.write_text("hello")
    with pytest.raises(InputError, match=r"What is read: pictures \(\.avif.*\.npz.*\.parquet") as refused:
        load_for_prediction(file, Preprocessing((6, 8), 3)) if of_predict else load(file)
    assert "Look at the path" not in str(refused.value)


def test_arrays_of_another_size_are_brought_to_size_as_the_fit_did_and_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    np.savez(file, x=RAW[..., 0], y=np.arange(20) % 2)
    data = load(file, image_size=(4, 4), center=True)
    x, names, _, notes = load_for_prediction(file, data.preprocessing)
    np.testing.assert_array_equal(x[[int(name) for name in data.names_train]], data.x_train)
    assert names == tuple(map(str, range(20)))
    of_all = f"20 of 20 pictures of {file}"
    cropped = f"Cropped at the center to the proportions of 4 x 4: {of_all}, with up to 25% of a picture cut off."
    assert notes[-2:] == (f"Resized to 4 x 4, as in training: 20 images of {file}.", cropped)
    assert cropped in data.notes
    _, _, _, notes = load_for_prediction(file, load(file).preprocessing)
    assert len(notes) == 1


def test_colors_that_a_model_of_gray_pictures_does_not_see_are_told(folder: Path) -> None:
    gray, notes = load_for_prediction(folder / "a", Preprocessing((6, 8), 1, 255.0))[::3]
    assert gray.shape[1] == 1
    assert f"Colors became their brightness, as in training all were gray: 10 images of {folder / 'a'}." in notes
    assert not any("Colors" in note for note in load_for_prediction(folder / "a", Preprocessing((6, 8), 3, 255.0))[3])


@pytest.mark.parametrize("gray", [(), ("train",), ("train/a",), ("test",)])
def test_gray_pictures_beside_colored_ones_are_told(gray: tuple[str, ...], tmp_path: Path) -> None:
    stream = np.random.default_rng(0)
    for part in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / part).mkdir(parents=True)
        for number in range(3):
            pixels = stream.integers(0, 255, (6, 8, 3), dtype=np.uint8)
            picture = Image.fromarray(pixels).convert("L" if part.startswith(gray) else "RGB")
            picture.save(tmp_path / part / f"{number}.png")
    data = load(tmp_path)
    told = [note for note in data.notes if "Only gray" in note]
    one_class = gray == ("train/a",)
    among = ", among them all that train" if gray == ("train",) else ""
    count = 3 if one_class else 6
    said = f"Only gray, repeated for 3 channels, as others have colors: {count} images of {tmp_path}{among}."
    assert told == ([said] if gray else [])
    told = [note for note in load_for_prediction(tmp_path / "train", data.preprocessing)[3] if "Only gray" in note]
    said = f"Only gray, repeated for the model's colors: {count} images of {tmp_path / 'train'}."
    assert told == ([said] if gray and gray != ("test",) else [])


def test_values_on_another_scale_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"white in .* must be 16, as in training; got 255"):
        load_for_prediction(folder, Preprocessing((8, 8), 1, 16.0))


def test_skipped_pictures_are_named(folder: Path) -> None:
    (folder / "a" / "broken.png").write_bytes(b"no picture")
    _, names, _, notes = load_for_prediction(folder / "a", Preprocessing((6, 8), 3, 255.0), unreadable="skip")
    assert len(names) == 10
    assert "broken.png" in notes[0]


def test_nothing_to_predict_is_told() -> None:
    with pytest.raises(InputError, match="data must be a path or a name, or several of them; got none"):
        load_for_prediction([], Preprocessing((8, 8), 3))


@pytest.mark.parametrize("several", [False, True])
def test_a_picture_that_is_not_there_is_named(tmp_path: Path, several: bool) -> None:
    missing = tmp_path / "nope.jpg"
    with pytest.raises(InputError, match=rf"there is no picture {missing}\. Look at the path\."):
        load_for_prediction([missing, missing] if several else missing, Preprocessing((8, 8), 3))


def test_pictures_that_are_enlarged_are_told(tmp_path: Path) -> None:
    for name, size in (("small", (4, 4)), ("low", (20, 4)), ("as they are", (6, 6)), ("large", (12, 12))):
        Image.new("RGB", size, "red").save(tmp_path / f"{name}.png")
    notes = load_for_prediction(tmp_path, Preprocessing((6, 6), 3, 255.0))[3]
    assert f"Enlarged to 6 x 6: 2 of 4 pictures of {tmp_path}." in notes
    notes = load_for_prediction(tmp_path, Preprocessing((4, 4), 3, 255.0))[3]
    assert not any("Enlarged" in note for note in notes)
    np.savez(tmp_path / "a.npz", x=RAW[..., 0], y=np.arange(20) % 2)
    height, width = RAW.shape[1:3]
    told = f"Enlarged to {height} x {width + 1}: 20 of 20 pictures of {tmp_path / 'a.npz'}."
    assert told in load(tmp_path / "a.npz", image_size=(height, width + 1)).notes
