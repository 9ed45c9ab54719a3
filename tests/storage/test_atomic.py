"""Files appear whole or not at all."""

import json
from pathlib import Path

import pytest

from convrfm.errors import InputError
from convrfm.storage.atomic import write_json, written_whole


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    with written_whole(tmp_path / "file") as partial:
        partial.write_text("new")
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(RuntimeError), written_whole(tmp_path / "file") as partial:
        partial.write_text("half")
        raise RuntimeError
    assert (tmp_path / "file").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("path", ["", "missing/file", "x" * 300])
def test_what_cannot_be_written_is_refused_in_words(path: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"), written_whole(tmp_path / path) as partial:
        partial.write_text("new")


def test_plain_values_come_back_from_json(tmp_path: Path) -> None:
    write_json(tmp_path / "values.json", {"numbers": [1, 0.1], "path": Path("a")})
    assert json.loads((tmp_path / "values.json").read_text()) == {"numbers": [1, 0.1], "path": "a"}
