"""One process writes to a folder, and a killed one leaves nothing that stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from convrfm.errors import InputError
from convrfm.storage.held_folder import LOCK, held, is_used

HOLD = """
import pathlib, sys, time
from convrfm.storage.held_folder import held
with held(pathlib.Path(sys.argv[1])):
    print(flush=True)
    time.sleep(60)
"""


def test_a_folder_is_held_by_one_process_until_that_ends_even_if_it_is_killed(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "run"], stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    with pytest.raises(InputError, match="another convrfm writes"), held(tmp_path / "run"):
        pass
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    other.stdout.close()
    (tmp_path / "run" / ".writing-half").touch()
    assert not is_used(tmp_path / "run")
    with held(tmp_path / "run"):
        assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK]
    assert not list((tmp_path / "run").iterdir())


def test_what_cannot_be_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "deeper", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match="cannot write"), held(path):
            pass
    assert is_used(tmp_path / "file")
    assert not is_used(tmp_path / "nothing")


def test_folders_that_were_made_for_nothing_are_taken_away(tmp_path: Path) -> None:
    with held(tmp_path / "deep" / "er" / "run"):
        pass
    assert not any(tmp_path.iterdir())
    (tmp_path / "kept").mkdir()
    with held(tmp_path / "kept" / "run"), held(tmp_path / "other" / "run"):
        (tmp_path / "other" / "run" / "a").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "other"]
    assert not any((tmp_path / "kept").iterdir())
