"""A table of file names and labels labels a folder of pictures, and what it leaves open is said."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image

from convrfm.datasets import load, load_for_prediction
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


def with_parts(form: str, parts: Sequence[str], header: str) -> str:
    return "\n".join([header, *(f"{line},{part}" for line, part in zip(rows(form).splitlines(), parts, strict=True))])


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


def test_a_number_of_a_row_is_no_name_where_another_column_has_whole_names(tmp_path: Path) -> None:
    """Shuffled rows with the index that pandas writes, of pictures that are called by numbers; two rows have no picture."""
    for i in range(12):
        Image.fromarray(np.full((4, 5), 20 * i, np.uint8)).save(tmp_path / f"{i}.png")
    order = [*np.random.default_rng(0).permutation(12).tolist()]
    lines = [f"{row},{i}.png,{'cat' if i < 6 else 'dog'}" for row, i in enumerate(order)]
    for first in (",filename,label", "row,filename,label"):
        (tmp_path / "labels.csv").write_text("\n".join([first, *lines[:10], "12,x.png,cat", "13,y.png,dog"]))
        data = load(tmp_path, labels=tmp_path / "labels.csv")
        for x, y in zip(data.x_train, data.y_train, strict=True):
            assert y == ("cat" if x.mean() * 255 < 110 else "dog")
    (tmp_path / "labels.csv").write_text("\n".join(["row,id,label", *(line.replace(".png", "") for line in lines)]))
    with pytest.raises(InputError, match=r"one column of file names; (row and id|id and row) name as many"):
        load(tmp_path, labels=tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_text("\n".join([",id,label", *(line.replace(".png", "") for line in lines)]))
    data = load(tmp_path, labels=tmp_path / "labels.csv")
    for x, y in zip(data.x_train, data.y_train, strict=True):
        assert y == ("cat" if x.mean() * 255 < 110 else "dog")


@pytest.mark.parametrize("said", ["column", "folders"])
def test_parts_are_those_that_a_column_or_folders_name(said: str, tmp_path: Path) -> None:
    lines = []
    for i in range(12):
        part = ["train", "valid", "test"][i % 3]
        path = tmp_path / "data" / (f"{part}_images" if said == "folders" else "all") / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5), 20 * i, np.uint8)).save(path)
        lines.append(f"{path.name},{['cat', 'dog'][i // 3 % 2]}" + (f",{part}" if said == "column" else ""))
    (tmp_path / "labels.csv").write_text("\n".join(["file,label" + (",split" if said == "column" else ""), *lines]))
    data = load(tmp_path / "data", labels=tmp_path / "labels.csv")
    numbers = {"train": data.names_train, "test": data.names_test}
    assert {part: sorted(int(Path(name).stem) % 3 for name in names) for part, names in numbers.items()} == {
        "train": [0] * 4,
        "test": [2] * 4,
    }
    assert data.selection is not None
    assert sorted(np.round(data.selection[0].mean((1, 2, 3)) * 255 / 20).astype(int) % 3) == [1] * 4
    assert not any("held out" in note for note in data.notes)


@pytest.mark.parametrize("depth", ["a folder", "folders"])
def test_pictures_to_predict_get_the_labels_of_a_table(photos: Path, tmp_path: Path, depth: str) -> None:
    labels = table(photos, "file,label\n" + rows("{name}.png|{label}"))
    preprocessing = load(photos, labels=labels).preprocessing
    data = [photos / "part0", photos / "part1"] if depth == "folders" else photos / "part1"
    x, names, y, notes = load_for_prediction(data, preprocessing, labels=labels)
    assert {Path(name).stem for name in names} == {name for i, name in enumerate(LABELS) if depth == "folders" or i % 2}
    for image, name, label in zip(x, names, y, strict=True):
        assert label == LABELS[Path(name).stem]
        np.testing.assert_allclose(image, 20 * int(Path(name).stem) / 255, atol=1e-6)
    assert any(f"rows of {labels} without a picture" in note for note in notes)
    with pytest.raises(InputError, match=r"labels belong to a folder of pictures; got them for .*00\.png"):
        load_for_prediction([photos / "part0" / "00.png", photos / "part1"], preprocessing, labels=labels)


def test_what_is_noted_of_a_table_with_parts_is_noted_once_of_training_and_of_prediction(photos: Path) -> None:
    parts = ("train", "test", "", "train", "train", "test", "val", "train", "train", "train")
    text = with_parts("{name}.png|{label}|7", parts, "file,label,age,split")
    labels = table(photos, f"{text}\ngone.png,cat,7,test")
    data = load(photos, labels=labels)
    _, names, _, notes = load_for_prediction(photos, data.preprocessing, labels=labels)
    assert names == ("part1/01.png", "part1/05.png")
    for told in (r"without a picture: gone\.png", r"of no part .*: part0/02\.png", "Not read of .*: age"):
        for of_one in (data.notes, notes):
            assert len([note for note in of_one if re.search(told, note)]) == 1


def test_of_parts_of_which_one_has_labels_this_one_is_the_data(tmp_path: Path) -> None:
    for i in range(20):
        path = tmp_path / ("train" if i < 10 else "test") / f"{i:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 5), 10 * i, np.uint8)).save(path)
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *(f"{i:02}.png,{i % 2}" for i in range(10))]))
    data = load(tmp_path, labels=tmp_path / "labels.csv")
    assert len(data.x_train) + len(data.x_test) == 10
    assert any("without a label" in note and "test/10.png" in note for note in data.notes)


def test_columns_that_are_not_read_are_named(photos: Path) -> None:
    text = "image,label,age\n" + rows("{name}.png|{label}|7")
    assert any(note.endswith("labels.csv: age.") for note in load(photos, labels=table(photos, text)).notes)


def test_of_several_columns_that_may_be_labels_the_one_called_label_is_read(photos: Path) -> None:
    data = load(photos, labels=table(photos, "image,diagnosis,Label\n" + rows("{name}.png|{i}|{label}")))
    assert data.classes == ("cat", "dog")
    assert any(note.endswith("labels.csv: diagnosis.") for note in data.notes)


def test_a_name_of_two_pictures_is_refused(photos: Path) -> None:
    (photos / "part1" / "00.png").write_bytes((photos / "part0" / "00.png").read_bytes())
    with pytest.raises(InputError, match=r"tell pictures apart; 00.png is part0/00.png and part1/00.png"):
        load(photos, labels=table(photos, rows("{name}.png|{label}")))
    load(photos, labels=table(photos, "file,label\n" + rows("{part}/{name}.png|{label}")))


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


def test_an_accent_is_the_same_however_a_system_writes_it(tmp_path: Path) -> None:
    lines, labels = ["file,label"], ["caf\xe9", "cafe\u0301", "bar", "bar"]
    for i in range(8):
        Image.fromarray(np.full((4, 5), 20 * i, np.uint8)).save(tmp_path / f"{i} e\u0301.png")
        lines.append(f"{i} \xe9.png,{labels[i % 4]}")
    (tmp_path / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    data = load(tmp_path, labels=tmp_path / "labels.csv")
    assert data.classes == ("bar", "caf\xe9")
    assert len(data.x_train) + len(data.x_test) == 8
    Image.fromarray(np.full((4, 5), 9, np.uint8)).save(tmp_path / "0 \xe9.png")
    with pytest.raises(InputError, match="must tell pictures apart"):
        load(tmp_path, labels=tmp_path / "labels.csv")


@pytest.mark.parametrize("suffix", ["", ".png"])
def test_the_first_row_may_be_called_as_a_picture_is(photos: Path, suffix: str) -> None:
    """A picture that nobody labeled has the name of a column; where its row is that of a picture, it has a label."""
    Image.fromarray(np.full((4, 5), 7, np.uint8)).save(photos / "image.png")
    data = load(photos, labels=table(photos, f"image{suffix},label\n" + rows("{name}.png|{label}")))
    assert ("label" in data.classes) == bool(suffix)
    assert any("without a label in" in note and "image.png" in note for note in data.notes) == (not suffix)


def test_a_first_row_without_a_picture_is_no_header(photos: Path) -> None:
    data = load(photos, labels=table(photos, "gone.png,cat\n" + rows("{name}.png|{label}")))
    assert any("without a picture: gone.png" in note for note in data.notes)
    names = rows("{name}|target").replace("00,target", "00,label") + "gone,label\n"
    assert load(photos, labels=table(photos, names)).classes == ("label", "target")


def test_spaces_around_quotes_belong_to_no_label(photos: Path) -> None:
    lines = rows('{name}.png|"{label}"').splitlines()
    text = "\n".join([*lines[:5], *(line.replace(",", ", ") for line in lines[5:])])
    assert load(photos, labels=table(photos, text)).classes == ("cat", "dog")


FAULTS = [
    ("", "no columns"),
    ("a\nb\n", r"got \[1\] columns"),
    ("a,b\nc,d,e\n", r"got \[2, 3\] columns"),
    ("a.png,cat\nb.png,dog\n", "names none of them"),
    ("file,dog,cat\n" + rows("{name}.png|1|1"), "got dog, cat. Call the one that is meant 'label'"),
    ("file,age,cat\n" + rows("{name}.png|7|x"), "got age, cat. Call the one that is meant 'label'"),
    ("file,class,species\n" + rows("{name}.png|7|x"), "got class, species. Call the one that is meant 'label'"),
    (rows("{name}.png|0.{i}"), "classes, names or integers; got numbers such as 0"),
    (rows("{name}.png|cat") + "00.png,dog\n", "00.png has cat and dog"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_tables_that_do_not_say_which_is_what_are_refused(photos: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(photos, labels=table(photos, text))


PARTS = ("train", "test", "Train", "train", "val", "test", "train", "train", "train", "train")


def test_a_table_of_parts_alone_has_no_labels(photos: Path) -> None:
    with pytest.raises(
        InputError, match=r"one column of labels .*; got split, which names parts .*Add a column of labels"
    ):
        load(photos, labels=table(photos, with_parts("{name}.png", PARTS, "file,split")))
    data = load(photos, labels=table(photos, with_parts("{name}.png", PARTS, "file,label")))
    assert data.classes == ("Train", "test", "train", "val")


def test_a_word_that_names_no_part_is_refused_and_an_empty_cell_leaves_out(photos: Path) -> None:
    header, parts = "file,label,split", (*PARTS[:8], "unlabeled", "tset")
    with pytest.raises(InputError, match=r"got tset, unlabeled in split\. Leave their cells empty"):
        load(photos, labels=table(photos, with_parts("{name}.png|{label}", parts, header)))
    data = load(photos, labels=table(photos, with_parts("{name}.png|{label}", (*PARTS[:8], "", ""), header)))
    assert {Path(name).stem for name in data.names_train} == {"00", "02", "03", "06", "07"}
    assert {Path(name).stem for name in data.names_test} == {"01", "05"}


def test_classes_that_are_called_like_parts_are_classes(photos: Path) -> None:
    header, vehicles = "file,height,label", ("train", "test", "train", "car", "train", "train", "car", *["train"] * 3)
    data = load(photos, labels=table(photos, with_parts("{name}.png|{i}", vehicles, header)))
    assert data.classes == ("car", "test", "train")
    assert len(data.names_train) + len(data.names_test) == 10


@pytest.mark.parametrize("yes, no", [("1", "0"), ("1.0", "0.0"), ("True", "False")])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["image|cat|dog", "|cat|dog"])
def test_columns_that_are_one_hot_are_told_to_become_one_by_a_line_that_does_it(
    yes: str, no: str, separator: str, header: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot = {"cat": f"{yes}|{no}", "dog": f"{no}|{yes}"}
    lines = [rows(f"{{name}}|{hot[label]}", separator).splitlines()[i] for i, label in enumerate(LABELS.values())]
    text = "\n".join(["\ufeff" + header.replace("|", separator), *lines])
    monkeypatch.chdir(photos.parent)
    with pytest.raises(InputError, match="one of them is 1") as refused:
        load(photos, labels=table(photos, text))
    eval(str(refused.value).partition("one column: ")[2].removesuffix("."), {"pandas": pandas})
    data, plain = load(photos, labels=Path("classes.csv")), load(photos, labels=table(photos, rows("{name}|{label}")))
    np.testing.assert_array_equal(data.x_train, plain.x_train)
    np.testing.assert_array_equal(data.y_train, plain.y_train)


@pytest.mark.parametrize(
    ("words", "heading", "told"),
    [
        (("learn", "exam"), "split", True),
        (("learn", "exam"), "group", False),
        (("train", "train"), "group", True),  # of one part alone
        (("test", "holdout"), "Subset", True),
    ],
)
def test_why_a_column_was_not_taken_for_parts_is_told_with_the_words_that_are(
    photos: Path, words: tuple[str, str], heading: str, told: bool
) -> None:
    text = with_parts("{name}.png|{label}", words * 5, f"file,label,{heading}")
    notes = load(photos, labels=table(photos, text)).notes
    assert any(note.endswith(f"labels.csv: {heading}.") for note in notes)
    why = [note for note in notes if "was not taken for the parts" in note]
    assert len(why) == told
    for note in why:
        assert note.startswith(f"{heading} of ")
        assert "one of train, training, val, valid, validation, dev, test, testing" in note
        assert note.endswith(f"got {', '.join(sorted(set(words)))}.")


@pytest.mark.parametrize(
    ("encoding", "found"), [("latin-1", "0xe9 in line 5"), ("cp1252", "0xe9 in line 5"), ("utf-16", "0xff in line 1")]
)
def test_a_table_of_another_encoding_is_refused_with_its_line_and_the_remedy(
    photos: Path, encoding: str, found: str
) -> None:
    text = "file,label\n" + rows("{name}.png|{label}").replace("03.png,dog", "03.png,caf\xe9")
    labels = table(photos, text)
    assert "caf\xe9" in load(photos, labels=labels).classes
    labels.write_text(text, encoding=encoding)
    with pytest.raises(InputError, match=rf"must be a table in UTF-8; got a byte {found}.*Save it as CSV UTF-8"):
        load(photos, labels=labels)


def test_a_table_that_is_not_there_is_missed(photos: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*gone\.csv"):
        load(photos, labels=photos.parent / "gone.csv")


def test_a_table_belongs_to_a_folder(photos: Path) -> None:
    with pytest.raises(InputError, match="belong to a folder"):
        load("bars", labels=photos)
    with pytest.raises(InputError, match="must be a table in UTF-8"):
        load(photos, labels=photos / "part0" / "00.png")
