"""Folders of pictures become labeled images, and nothing disappears in silence."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convrfm.datasets import load, load_for_prediction
from convrfm.errors import InputError


def picture(height: int = 6, width: int = 8, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(256, size=(height, width, 3), dtype=np.uint8))


def save(image: Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for i in range(10):
        save(picture(seed=i), tmp_path / "pets" / "dogs" / f"{i}.png")
        save(picture(seed=10 + i), tmp_path / "pets" / "cats" / f"{i}.png")
    return tmp_path / "pets"


def all_names(data: Any) -> list[str]:
    return sorted([*data.names_train, *data.names_test])


def test_sub_folders_are_classes_and_every_image_keeps_its_name(pets: Path) -> None:
    data = load(pets)
    assert data.classes == ("cats", "dogs")
    assert [name.split("/")[0] for name in data.names_train] == data.y_train.tolist()
    for name, x in zip(data.names_test, data.x_test, strict=True):
        np.testing.assert_allclose(x, np.moveaxis(np.asarray(Image.open(pets / name)), -1, 0) / 255, atol=1e-6)
    assert all_names(data) == sorted(path.relative_to(pets).as_posix() for path in pets.rglob("*.png"))


def test_nested_pictures_belong_to_the_outer_folder_and_hidden_ones_to_nobody(pets: Path) -> None:
    save(picture(), pets / "cats" / "2024" / "july" / "a.JPG")
    save(picture(), pets / "cats" / ".thumbnails" / "b.png")
    save(picture(), pets / ".trash" / "c.png")
    (pets / ".DS_Store").touch()
    data = load(pets)
    assert len(all_names(data)) == 21
    assert "cats/2024/july/a.JPG" in all_names(data)
    assert len(data.notes) == 1


def test_everything_left_out_is_named_in_the_notes(pets: Path) -> None:
    (pets / "labels.csv").touch()
    save(picture(), pets / "loose.png")
    (pets / "birds").mkdir()
    (pets / "cats" / "broken.png").write_bytes(b"no picture")
    data = load(pets, unreadable="skip")
    notes = " ".join(data.notes)
    for left_out in ("not a picture: labels.csv", "in no class folder: loose.png", "without a picture: birds",
                     "unreadable: cats/broken.png"):  # fmt: skip
        assert left_out in notes
    assert data.classes == ("cats", "dogs")
    assert len(all_names(data)) == 20


RUNS = {
    "metrics.json": {"finished": True, "rounds": [], "preprocessing": {}, "settings": {"data": "."}, "versions": {}},
    "settings.json": {"data": ".", "agop_samples": None},
    "reproduction.json": {"experiment": "fig1", "digest": ""},
}


@pytest.mark.parametrize("file", RUNS)
def test_plots_of_runs_are_no_pictures_of_a_class(pets: Path, file: str) -> None:
    for name in ("fit", "fit-2"):
        save(picture(), pets / "runs" / name / "plots" / "rounds.png")
        (pets / "runs" / name / file).write_text(json.dumps(RUNS[file]), encoding="utf-8")
    data = load(pets)
    assert data.classes == ("cats", "dogs")
    assert data.notes[0] == f"Left out of {pets}, runs of convrfm: runs/fit, runs/fit-2."
    assert len(data.notes) == 2


CONTENTS = {"scores": b'{"accuracy": 0.9}', "list": b"[1]", "half": b"{", "bytes": b"\xff", "nest": b"[" * 100_000}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_files_that_are_called_as_those_of_runs_make_no_run(pets: Path, content: bytes) -> None:
    for name in RUNS:
        (pets / "cats" / name).write_bytes(content)
    data = load(pets)
    assert len(all_names(data)) == 20
    assert "not a picture: cats/metrics.json, cats/reproduction.json, cats/settings.json" in data.notes[0]


def test_what_a_new_shape_cuts_off_is_said(pets: Path) -> None:
    assert any(
        f"Cropped at the center to the proportions of 3 x 3: 20 of 20 pictures of {pets}, with up to 25%" in note
        for note in load(pets, image_size=(3, 3)).notes
    )
    assert not any("cropped" in note for note in load(pets, image_size=(12, 16)).notes)


def test_further_frames_are_named_in_the_notes(pets: Path) -> None:
    picture().save(pets / "cats" / "a.gif", save_all=True, append_images=[picture(seed=1)])
    assert any("all frames or pages but the first: cats/a.gif" in note for note in load(pets).notes)


def test_names_that_are_not_utf8_are_spelled_out_for_files_and_refused_for_classes(pets: Path) -> None:
    save(picture(), pets / "cats" / os.fsdecode(b"caf\xe9.png"))
    assert "cats/caf\\xe9.png" in all_names(load(pets))
    save(picture(), pets / os.fsdecode(b"caf\xe9") / "a.png")
    with pytest.raises(InputError, match=r"class folder must be UTF-8; got .*Rename"):
        load(pets)


def test_an_accent_is_the_same_however_a_system_writes_it(tmp_path: Path) -> None:
    """Composed in training, taken apart in the test part, as in an archive from macOS."""
    for i in range(8):
        save(picture(seed=i), tmp_path / "train" / ["caf\xe9", "bar"][i % 2] / f"{i}.png")
        save(picture(seed=8 + i), tmp_path / "test" / ["cafe\u0301", "bar"][i % 2] / f"{i}.png")
    data = load(tmp_path)
    assert data.classes == ("bar", "caf\xe9")
    assert sorted(data.y_test.tolist()) == ["bar"] * 4 + ["caf\xe9"] * 4


def test_folders_that_become_one_class_are_told(tmp_path: Path) -> None:
    """Their names look the same, accents together with their letters in one and apart from them in the other."""
    for i in range(9):
        save(picture(seed=i), tmp_path / ["caf\xe9", "bar", "cafe\u0301"][i % 3] / f"{i}.png")
    data = load(tmp_path)
    assert data.classes == ("bar", "caf\xe9")
    assert f"Folders of {tmp_path} whose names look the same are one class: 'cafe\\u0301' and 'caf\xe9'." in data.notes


def test_pictures_that_memory_cannot_hold_are_refused_after_the_first(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convrfm.datasets.memory.free_memory", lambda: 1000)
    with pytest.raises(InputError, match=r"the 20 pictures of .*must fit into memory"):
        load(pets)


def test_pictures_that_memory_cannot_hold_are_refused_after_the_first_large_one(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(picture(1, 1), pets / "cats" / "0.png")
    (pets / "dogs" / "9.png").write_bytes(b"never read")
    monkeypatch.setattr("convrfm.datasets.memory.free_memory", lambda: 1000)
    with pytest.raises(InputError, match=r"the 20 pictures of .*they need 13 KiB .*image_size"):
        load(pets)


def test_an_unreadable_picture_stops_the_reading_unless_it_may_be_skipped(pets: Path) -> None:
    (pets / "cats" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r'broken\.png cannot be read.*unreadable="skip"'):
        load(pets)


def test_gray_folders_have_one_channel_and_mixed_ones_three(tmp_path: Path) -> None:
    for i in range(4):
        save(picture(seed=i).convert("L"), tmp_path / "ab"[i % 2] / f"{i}.png")
    assert load(tmp_path).x_train.shape[1] == 1
    save(picture(), tmp_path / "a" / "color.png")
    assert load(tmp_path).x_train.shape[1] == 3


@pytest.mark.parametrize(("kind", "white"), [(np.uint16, 65535), (np.uint8, 255)])
def test_pictures_may_be_as_dark_as_they_like(tmp_path: Path, kind: type, white: int) -> None:
    raw: np.ndarray = np.random.default_rng(0).integers(2, size=(10, 6, 8)).astype(kind)
    for i, values in enumerate(raw):
        save(Image.fromarray(values), tmp_path / "ab"[i % 2] / f"{i}.png")
    data = load(tmp_path)
    for name, x in zip(data.names_train, data.x_train, strict=True):
        np.testing.assert_allclose(x[0], raw[int(Path(name).stem)] / white, rtol=1e-6)
    small = load(tmp_path, image_size=(3, 4))
    assert 0 <= small.x_train.min() < small.x_train.max() <= 1 / white + 1e-9
    x, names, _, _ = load_for_prediction(tmp_path, small.preprocessing)
    again = dict(zip(names, x, strict=True))
    np.testing.assert_array_equal(np.stack([again[name] for name in small.names_train]), small.x_train)


def test_mixed_sizes_need_an_image_size(pets: Path) -> None:
    save(picture(20, 10), pets / "cats" / "tall.png")
    with pytest.raises(InputError, match=r"one size; got 2 sizes.*image_size=\(6, 8\)"):
        load(pets)
    data = load(pets, image_size=(5, 5))
    assert data.x_train.shape[1:] == (3, 5, 5)
    assert data.preprocessing.image_size == (5, 5)


def test_folders_named_train_and_test_are_the_two_parts(tmp_path: Path) -> None:
    for part, n in (("train", 6), ("test", 2)):
        for i in range(n):
            save(picture(seed=i), tmp_path / part / "ab"[i % 2] / f"{i}.png")
    data = load(tmp_path)
    assert data.classes == ("a", "b")
    assert data.names_test == ("a/0.png", "b/1.png")
    assert len(data.names_train) == 6


def test_folders_that_are_no_data_set_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must hold pictures.*got none"):
        load(tmp_path)
    save(picture(), tmp_path / "a.png")
    with pytest.raises(InputError, match="one sub-folder of pictures per class; got 1 picture"):
        load(tmp_path)
    for i in range(5):
        save(picture(), tmp_path / "cats" / f"{i}.png")
    with pytest.raises(InputError, match="at least two classes; got only 'cats'"):
        load(tmp_path)
    for file in tmp_path.rglob("*.png"):
        file.write_bytes(b"")
    with pytest.raises(InputError, match="readable pictures; got 5 damaged"):
        load(tmp_path, unreadable="skip")
