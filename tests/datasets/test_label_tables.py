"""A table of file names and labels labels a folder of pictures, and what it leaves open is said."""

from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image

from convrfm.datasets import load
from convrfm.errors import InputError

LABELS = {f"{i:02}": ["cat", "dog"][i % 2] for i in range(10)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for i, name in enumerate(LABELS):
        path = tmp_path / "photos" / f"part{i % 2}" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5), 20 * i, np.uint8)).save(path)
    return tmp_path / "photos"


def table(photos: Path, text: str) -> Path:
    path = photos.parent / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def rows(form: str, separator: str = ",") -> str:
    lines = [
        separator.join(part.format(name=name, part=f"part{i % 2}", label=label, i=i) for part in form.split("|"))
        for i, (name, label) in enumerate(LABELS.items())
    ]
    return "\n".join(lines) + "\n"


FORMS = [
    rows("{name}.png|{label}"),
    "file,label\n" + rows("{name}.png|{label}"),
    "\ufefffile;species\n" + rows("{part}/{name}.png|{label}", ";"),
    "id\tbreed\n" + rows("{name}|{label}", "\t"),
    "row,class,image\n" + rows("{i}|{label}|./{part}/{name}.png"),
    "image,label\n" + rows("{part}\\{name}.png|{label}"),
]


@pytest.mark.parametrize("text", FORMS)
def test_every_form_of_table_gives_the_same_labels(photos: Path, text: str) -> None:
    data = load(photos, labels=table(photos, text))
    found = dict(zip((*data.names_train, *data.names_test), (*data.y_train, *data.y_test), strict=True))
    assert {Path(name).stem: label for name, label in found.items()} == LABELS
    for name, x in zip(data.names_train, data.x_train, strict=True):
        np.testing.assert_allclose(x, 20 * int(Path(name).stem) / 255, atol=1e-6)


def test_numbers_are_numbers_unless_zeros_lead(photos: Path) -> None:
    assert load(photos, labels=table(photos, rows("{name}.png|7").replace("08.png,7", "08.png,8"))).classes == (7, 8)
    assert load(photos, labels=table(photos, rows("{name}.png|07").replace("08.png,07", "08.png,8"))).classes == (
        "07",
        "8",
    )


def test_what_the_table_and_the_folder_do_not_share_is_named(photos: Path) -> None:
    lines = rows("{name}.png|{label}").splitlines()
    text = "\n".join([*lines[2:], "gone.png,cat", "00.png,"])
    data = load(photos, labels=table(photos, text))
    notes = " ".join(data.notes)
    assert "without a picture: gone.png" in notes
    assert "without a label in" in notes
    assert "part0/00.png, part1/01.png" in notes
    assert len(data.x_train) + len(data.x_test) == 8


FAULTS = [
    ("", "no columns"),
    ("a\nb\n", r"got \[1\] columns"),
    ("a,b\nc,d,e\n", r"got \[2, 3\] columns"),
    ("a.png,cat\nb.png,dog\n", "names none of them"),
    ("file,dog,cat\n" + rows("{name}.png|1|1"), "got dog, cat. Call the one that is meant 'label'"),
    ("file,age,cat\n" + rows("{name}.png|7|x"), "got age, cat. Call the one that is meant 'label'"),
    (rows("{name}.png|0.{i}"), "classes, names or integers; got numbers such as 0"),
    (rows("{name}.png|cat") + "00.png,dog\n", "00.png has cat and dog"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_tables_that_do_not_say_which_is_what_are_refused(photos: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(photos, labels=table(photos, text))


@pytest.mark.parametrize("yes, no", [("1", "0"), ("1.0", "0.0"), ("True", "False")])
def test_columns_that_are_one_hot_are_told_to_become_one_by_a_line_that_does_it(
    yes: str, no: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot = {"cat": f"{yes}|{no}", "dog": f"{no}|{yes}"}
    lines = [rows(f"{{name}}|{hot[label]}").splitlines()[i] for i, label in enumerate(LABELS.values())]
    monkeypatch.chdir(photos.parent)
    with pytest.raises(InputError, match="one of them is 1") as refused:
        load(photos, labels=table(photos, "\n".join(["image,cat,dog", *lines])))
    eval(str(refused.value).partition("one column: ")[2].removesuffix("."), {"pandas": pandas})
    data, plain = load(photos, labels=Path("classes.csv")), load(photos, labels=table(photos, rows("{name}|{label}")))
    np.testing.assert_array_equal(data.x_train, plain.x_train)
    np.testing.assert_array_equal(data.y_train, plain.y_train)


def test_a_table_that_is_not_there_is_missed(photos: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*gone\.csv"):
        load(photos, labels=photos.parent / "gone.csv")


def test_a_table_belongs_to_a_folder(photos: Path) -> None:
    with pytest.raises(InputError, match="belong to a folder"):
        load("bars", labels=photos)
    with pytest.raises(InputError, match="must be a table in UTF-8"):
        load(photos, labels=photos / "part0" / "00.png")
