"""Parquet files as Hugging Face writes them."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convrfm.datasets import load
from convrfm.errors import InputError, MissingDependencyError

RAW = np.random.default_rng(0).integers(256, size=(20, 6, 8, 3), dtype=np.uint8)


def write(path: Path, rows: range, image: str = "image", names: list[str] | None = None) -> Path:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")

    def png(i: int) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(RAW[i]).save(buffer, "PNG")
        return buffer.getvalue()

    cells = [{"bytes": png(i), "path": f"{i}.png"} for i in rows]
    table = pa.table({image: cells, "label": [i % 2 for i in rows]})
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


def test_shards_are_joined_and_parts_stay_apart(tmp_path: Path) -> None:
    for name, rows in (("train-00000-of-00002", range(6)), ("train-00001-of-00002", range(6, 12)),
                       ("validation-00000-of-00001", range(12, 16)), ("test-00000-of-00001", range(16, 20))):  # fmt: skip
        write(tmp_path / "data" / f"{name}.parquet", rows)
    data = load(tmp_path)
    assert data.selection is not None
    assert [len(x) for x in (data.x_train, data.selection[0], data.x_test)] == [12, 4, 4]
    np.testing.assert_allclose(data.x_test, np.moveaxis(RAW[16:], -1, 1) / 255, atol=1e-6)


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
