"""Parquet files as Hugging Face writes them."""

import io
import json
import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convrfm.datasets import load
from convrfm.errors import InputError, MissingDependencyError

RAW = np.random.default_rng(0).integers(256, size=(20, 6, 8, 3), dtype=np.uint8)


def encoded(i: int, frames: int = 1, side: int | None = None) -> bytes:
    buffer = io.BytesIO()
    first, *others = [Image.fromarray(RAW[i + frame][:side, :side]) for frame in range(frames)]
    first.save(buffer, "PNG", save_all=frames > 1, append_images=others)
    return buffer.getvalue()


def write(
    path: Path,
    rows: range,
    image: str = "image",
    names: list[str] | None = None,
    labels: list[int | None] | None = None,
    damaged: Collection[int] = (),
    moving: Collection[int] = (),
    small: Collection[int] = (),
) -> Path:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")

    def content(i: int) -> bytes:
        return b"no picture" if i in damaged else encoded(i, frames=1 + (i in moving), side=1 if i in small else None)

    cells = [{"bytes": content(i), "path": f"{i}.png"} for i in rows]
    table = pa.table({image: cells, "label": labels or [i % 2 for i in rows]})
    if names:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def test_pictures_and_the_names_of_classes_are_read(tmp_path: Path) -> None:
    data = load(write(tmp_path / "a.parquet", range(20), names=["cat", "dog"]))
    assert data.classes == ("cat", "dog")
    rows = [int(name) for name in data.names_train]
    np.testing.assert_allclose(data.x_train, np.moveaxis(RAW[rows], -1, 1) / 255, atol=1e-6)
    assert data.y_train.tolist() == [["cat", "dog"][i % 2] for i in rows]


def test_columns_that_are_not_read_are_named(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    cells = [{"bytes": encoded(i)} for i in range(10)]
    numbers = [i % 2 for i in range(10)]
    pq.write_table(pa.table({"img": cells, "fine_label": numbers, "coarse_label": numbers}), tmp_path / "a.parquet")
    assert f"Not read of {tmp_path / 'a.parquet'}: coarse_label." in load(tmp_path / "a.parquet").notes


def test_shards_are_joined_and_parts_stay_apart(tmp_path: Path) -> None:
    for name, rows in (("train-00000-of-00002", range(6)), ("train-00001-of-00002", range(6, 12)),
                       ("validation-00000-of-00001", range(12, 16)), ("test-00000-of-00001", range(16, 20))):  # fmt: skip
        write(tmp_path / "data" / f"{name}.parquet", rows)
    data = load(tmp_path)
    assert data.selection is not None
    assert [len(x) for x in (data.x_train, data.selection[0], data.x_test)] == [12, 4, 4]
    np.testing.assert_allclose(data.x_test, np.moveaxis(RAW[16:], -1, 1) / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("mnist_train.parquet", "mnist_test.parquet"),
        ("cifar10-Training-0.parquet", "cifar10-testing-0.parquet"),
        ("default/train/0000.parquet", "default/test/0000.parquet"),
    ],
)
def test_a_part_is_told_from_the_whole_path(train: str, test: str, tmp_path: Path) -> None:
    write(tmp_path / train, range(12))
    write(tmp_path / test, range(12, 20))
    data = load(tmp_path)
    assert (len(data.x_train), len(data.x_test)) == (12, 8)
    np.testing.assert_allclose(data.x_test, np.moveaxis(RAW[12:], -1, 1) / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (["train.parquet", "more.parquet"], "or none; got more.parquet among train"),
        (["train/test.parquet"], "names test and train"),
        (["test.parquet"], "must hold a training part"),
        (
            ["a/train/0.parquet", "b/train/0.parquet", "a/test/0.parquet"],
            "one data set; got parquet files for train in several folders: a/train, b/train",
        ),
    ],
)
def test_files_of_no_clear_part_are_refused(others: list[str], message: str, tmp_path: Path) -> None:
    for name in others:
        write(tmp_path / name, range(4))
    with pytest.raises(InputError, match=message):
        load(tmp_path)


@pytest.mark.parametrize("label", [-1, 2, None])
def test_a_label_of_no_class_is_refused(label: int | None, tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", range(4), names=["cat", "dog"])
    write(tmp_path / "test.parquet", range(4), names=["cat", "dog"], labels=[0, 1, label, 1])
    with pytest.raises(InputError, match=rf"label in row 2 of .*test.parquet .* from 0 to 1; got {label}"):
        load(tmp_path)


def test_unreadable_pictures_are_skipped_where_that_is_asked_for_and_told(tmp_path: Path) -> None:
    for name, rows in (("a.parquet", range(10)), ("b.parquet", range(10, 20))):
        write(tmp_path / name, rows, damaged=(0, 12))
    with pytest.raises(InputError, match=r"row 0 of .* holds no picture"):
        load(tmp_path)
    data = load(tmp_path, unreadable="skip")
    for row in (0, 2):
        assert any(note.endswith(f"unreadable: row {row}.") for note in data.notes)
    names = [int(name) for name in (*data.names_train, *data.names_test)]
    assert sorted(names) == [i for i in range(20) if i not in (0, 12)]
    np.testing.assert_allclose(
        np.concatenate([data.x_train, data.x_test]), np.moveaxis(RAW[names], -1, 1) / 255, atol=1e-6
    )
    assert np.concatenate([data.y_train, data.y_test]).tolist() == [i % 2 for i in names]
    write(tmp_path / "b.parquet", range(4), damaged=range(4))
    with pytest.raises(InputError, match="must hold readable pictures; got 4 damaged ones"):
        load(tmp_path / "b.parquet", unreadable="skip")


def test_further_frames_are_named_in_the_notes(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", range(12), moving=(3, 5))
    write(tmp_path / "test.parquet", range(12, 20), moving=(14,))
    data = load(tmp_path)
    for name, rows in (("train", "row 3, row 5"), ("test", "row 2")):
        told = f"Left out of {tmp_path / name}.parquet, all frames or pages but the first: {rows}."
        assert told in data.notes
    np.testing.assert_allclose(data.x_test, np.moveaxis(RAW[12:], -1, 1) / 255, atol=1e-6)


def test_what_a_new_shape_cuts_off_is_said_of_all_files_together(tmp_path: Path) -> None:
    for name, rows in (("a.parquet", range(10)), ("b.parquet", range(10, 20))):
        write(tmp_path / name, rows)
    first = tmp_path / "a.parquet"
    for data, n, others in ((tmp_path, 20, " and 1 more"), (first, 10, "")):
        told = f"to the proportions of 3 x 3: {n} of {n} pictures of {first}{others}, with up to 25% of a picture"
        assert told in load(data, image_size=(3, 3)).notes[0]
        assert not any("Cropped" in note for note in load(data, image_size=(12, 16)).notes)


def test_linked_folders_are_read_once_and_links_that_give_nothing_are_named(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "0000.parquet", range(12, 20))
    write(tmp_path / "data" / "train" / "0000.parquet", range(12))
    (tmp_path / "data" / "test").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "up").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "gone").symlink_to(tmp_path / "nowhere")
    data = load(tmp_path / "data")
    assert (len(data.x_train), len(data.x_test)) == (12, 8)
    np.testing.assert_allclose(data.x_test, np.moveaxis(RAW[12:], -1, 1) / 255, atol=1e-6)
    notes = " ".join(data.notes)
    assert "lead nowhere: gone." in notes
    assert "read already: up." in notes


def test_files_beside_parquet_files_are_named_and_pictures_in_class_folders_refused(tmp_path: Path) -> None:
    write(tmp_path / "data" / "0000.parquet", range(20))
    (tmp_path / "README.md").touch()
    (tmp_path / "cat").mkdir()
    Image.fromarray(RAW[0]).save(tmp_path / "cat" / "0.png")
    Image.fromarray(RAW[1]).save(tmp_path / "cover.png")
    told = f"Left out of {tmp_path}, beside parquet files: README.md, cat/0.png, cover.png."
    assert load(tmp_path).notes[0] == told
    (tmp_path / "dog").mkdir()
    Image.fromarray(RAW[2]).save(tmp_path / "dog" / "0.png")
    with pytest.raises(InputError, match=r"not both; got pictures in cat, dog and data/0000\.parquet\. Pass a parquet"):
        load(tmp_path)
    assert len(load(tmp_path / "data").notes) == 1


def write_padded(path: Path, n_rows: int, padding: int) -> Path:
    """Pictures with zeros after their end, which no decoder looks at and which take no room in the file."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    cells = pa.array([{"bytes": encoded(i) + bytes(padding)} for i in range(2)]).take([i % 2 for i in range(n_rows)])
    table = pa.table({"image": cells, "label": [i % 2 for i in range(n_rows)]})
    pq.write_table(table, path, compression="zstd")
    assert path.stat().st_size < 10_000
    return path


def test_columns_that_memory_cannot_hold_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convrfm.datasets.memory.free_memory", lambda: 1 << 24)
    file = write_padded(tmp_path / "a.parquet", 2, 1 << 24)
    with pytest.raises(InputError, match=r"group of rows in .*need 32 MiB and 16 MiB are free.*row_group_size"):
        load(file)


def test_pictures_that_memory_cannot_hold_are_refused_after_the_first_large_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "a.parquet", range(20), small=[0], damaged=[9])
    monkeypatch.setattr("convrfm.datasets.memory.free_memory", lambda: 10_000)
    with pytest.raises(InputError, match=r"the pictures of .*a\.parquet must fit into memory; they need 13 KiB"):
        load(file)


@pytest.mark.parametrize(("free", "most"), [(1 << 30, 100), (1 << 20, 5)])
def test_a_picture_that_is_stored_once_for_many_rows_is_not_held_once_for_each(
    free: int, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pa = pytest.importorskip("pyarrow")
    for module in ("memory", "parquet"):
        monkeypatch.setattr(f"convrfm.datasets.{module}.free_memory", lambda: free)
    file = write_padded(tmp_path / "a.parquet", 200, 1 << 18)
    pool, usual = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        data = load(file)
    finally:
        pa.set_memory_pool(usual)
    assert len(data.x_train) + len(data.x_test) == 200
    assert 1 << 18 < pool.max_memory() < most << 18


def test_lists_in_place_of_pictures_are_refused_before_they_are_read(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"image": [[0, 1], [2, 3]], "label": [0, 1]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"one picture, as the bytes of its file.*got lists in image\.list"):
        load(tmp_path / "a.parquet")


def test_damage_and_foreign_columns_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one column called image .*got photo, label"):
        load(write(tmp_path / "a.parquet", range(4), image="photo"))
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(InputError, match="cannot be read as parquet"):
        load(tmp_path / "a.parquet")


def test_a_missing_library_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (tmp_path / "a.parquet").touch()
    with pytest.raises(MissingDependencyError, match=r'pip install "convrfm\[parquet\]"'):
        load(tmp_path / "a.parquet")
