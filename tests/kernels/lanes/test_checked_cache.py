"""Damaged or full, the folder of compiled code costs a compilation and never a process or a number."""

import importlib.util
import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convrfm.kernels.lanes.checked_cache import IndexDataCacheFile
from convrfm.kernels.lanes.vectors import entry

SOURCE = "def twice(a):\n    a[0] = 2 * a[0]\n"


def fresh(folder: Path) -> Any:
    """The compiled function as a new process finds it."""
    (folder / "code.py").write_text(SOURCE) if not (folder / "code.py").exists() else None
    spec = importlib.util.spec_from_file_location("code_of_this_test", folder / "code.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return entry(module.twice)


def value(function: Callable[[Any], None]) -> float:
    import numpy as np

    a = np.array([21.0])
    function(a)
    return float(a[0])


def kept(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "__pycache__").iterdir() if path.suffix in (".nbi", ".nbc"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("numba.config.CACHE_DIR", "")
    assert value(fresh(tmp_path)) == 42
    return tmp_path


def test_code_that_is_whole_is_not_compiled_again(folder: Path) -> None:
    again = fresh(folder)
    assert value(again) == 42
    assert (sum(again.stats.cache_hits.values()), sum(again.stats.cache_misses.values())) == (1, 0)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("how", ["cut", "turned", "emptied"])
def test_damaged_code_is_compiled_again(which: int, how: str, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = kept(folder)[which]
    whole = file.read_bytes()
    at = random.Random(0).randrange(40, len(whole))
    turned = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    file.write_bytes({"cut": whole[:at], "turned": turned, "emptied": b""}[how])
    with caplog.at_level(logging.WARNING, "convrfm"):
        assert value(fresh(folder)) == 42
    assert "is damaged; it is compiled again" in caplog.text
    again = fresh(folder)
    assert value(again) == 42
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_full_disk_costs_the_keeping_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.config.CACHE_DIR", "")
    monkeypatch.setattr(IndexDataCacheFile, "_open_for_write", full)
    with caplog.at_level(logging.WARNING, "convrfm"):
        assert value(fresh(tmp_path)) == 42
    assert "No space left on device; compiled code is not kept" in caplog.text
