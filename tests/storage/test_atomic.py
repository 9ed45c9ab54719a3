"""Files appear whole or not at all."""

import json
import os
from pathlib import Path

import pytest
from safetensors import SafetensorError

from convrfm.errors import InputError
from convrfm.storage.atomic import check_writable, write_json, write_text, written_whole
from convrfm.storage.held_folder import held


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
def test_what_cannot_be_written_is_refused_in_words_and_before(path: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"), written_whole(tmp_path / path) as partial:
        partial.write_text("new")
    with pytest.raises(InputError, match="cannot write"):
        check_writable(tmp_path / path)


@pytest.mark.parametrize("address", ["s3://bucket/table.csv", "file:///tmp/table.csv", "memory://table.csv"])
def test_an_address_is_no_folder_of_this_machine(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for wanted in (written_whole, held):
        with pytest.raises(InputError, match="it is an address"), wanted(Path(address)):
            pass
    assert not list(tmp_path.iterdir())


def test_a_check_leaves_nothing_behind_and_touches_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "new")
    (tmp_path / "file").write_text("old")
    check_writable(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("os error 28")])
def test_a_full_disk_is_told_in_words_and_leaves_the_old_file(tmp_path: Path, error: Exception) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(InputError, match=r"cannot write .*file: .*28.* Make room"), written_whole(tmp_path / "file"):
        raise error
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_texts_are_utf8_whatever_they_hold(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "猫 " + os.fsdecode(b"caf\xe9"))
    assert (tmp_path / "a").read_text(encoding="utf-8") == "猫 caf\\udce9"


def test_plain_values_come_back_from_json(tmp_path: Path) -> None:
    write_json(tmp_path / "values.json", {"numbers": [1, 0.1], "path": Path("a")})
    assert json.loads((tmp_path / "values.json").read_text()) == {"numbers": [1, 0.1], "path": "a"}
