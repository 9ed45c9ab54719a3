"""Triton's compiler accepts the programs of the cuda engine, on any machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")
PROGRAMS = {"forward_strips", "backward_strips", "activate", "pull_back_activation", "add_up_windows"}
SCRIPT = Path(__file__).with_name("compile_for_a_gpu.py")


def test_every_program_compiles_for_a_gpu() -> None:
    without_interpreter = {**os.environ, "TRITON_INTERPRET": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, SCRIPT], env=without_interpreter, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines()} == PROGRAMS
