"""Whoever waits for the compiler is told so, and nobody else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from numba import njit

from convrfm.kernels.engines.cpu.flat.forward import kernel_blocks
from convrfm.kernels.lanes.compilation import announced, digest
from convrfm.kernels.lanes.vectors import SOURCES

FIRST_CALL = """
import torch
from convrfm import kernels
kernels.NTK(kernels.vanilla(1), engine="cpu")(torch.ones(2, 1, 4, 4))
"""


def test_every_compilation_is_announced_and_no_other_call(caplog: pytest.LogCaptureFixture) -> None:
    def twice(x):  # type: ignore[no-untyped-def]
        return 2 * x

    compiled = announced(njit(twice), kept=True)
    njit(twice)(1)
    assert not caplog.messages
    assert [compiled(1), compiled(2)] == [2, 4]
    assert len(caplog.messages) == 1
    assert compiled(1.5) == 3
    assert len(caplog.messages) == 2
    assert all("compiling twice" in message and "once" in message for message in caplog.messages)


def test_without_a_folder_for_compiled_code_the_remedy_is_told(caplog: pytest.LogCaptureFixture) -> None:
    announced(njit(lambda x: x), kept=False)(1)
    assert "NUMBA_CACHE_DIR" in caplog.text


def test_compiled_code_on_disk_is_found_in_silence(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}

    def told() -> list[str]:
        command = [sys.executable, "-c", FIRST_CALL]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return run.stderr.splitlines()

    (line,) = told()
    assert line.startswith("compiling kernel_blocks")
    assert told() == []


def test_compiled_code_is_kept_under_a_name_that_tells_every_file_it_is_made_of(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    texts = [("a.py", "x = 1"), ("a.py", "x = 2"), ("b.py", "x = 2"), ("inner/a.py", "x = 2"), ("inner/a.py", "x = 3")]
    names = {digest([tmp_path])}
    for place, text in texts:
        (tmp_path / place).write_text(text)
        names.add(digest([tmp_path]))
    assert len(names) == len(texts) + 1
    (tmp_path / "a.txt").write_text("x")
    assert digest([tmp_path]) in names
    assert SOURCES in kernel_blocks.py_func.__qualname__
