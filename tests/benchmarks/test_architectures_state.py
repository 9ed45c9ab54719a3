"""The state of the meter is that of the code that measures, and of nothing else."""

from pathlib import Path

import pytest

from benchmarks.architectures import state

SWEEP = "from ..maths import sums\n\ndef add():\n    return sums.total\n"


def changed(cnfa: Path, maths: Path, file: Path, content: str) -> str:
    (cnfa / "sweep.py").write_text(SWEEP)
    (cnfa / "pictures.py").write_text("def draw():\n    return 1\n")
    (maths / "sums.py").write_text("total = 1\n")
    file.write_text(content)
    return state.state_of_the_meter()


def test_only_code_that_measures_changes_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "SOURCE", tmp_path)
    cnfa, maths = tmp_path / "convrfm" / "cnfa", tmp_path / "convrfm" / "maths"
    cnfa.mkdir(parents=True)
    maths.mkdir()
    first = changed(cnfa, maths, cnfa / "sweep.py", SWEEP)
    documented = '"""Sums."""\n' + SWEEP.replace("add():\n", 'add():\n    """Of all."""  # twice\n')
    assert changed(cnfa, maths, cnfa / "sweep.py", documented) == first
    assert changed(cnfa, maths, cnfa / "pictures.py", "def draw():\n    return 2\n") == first
    assert changed(cnfa, maths, cnfa / "sweep.py", SWEEP.replace("total", "total + 1")) != first
    assert changed(cnfa, maths, maths / "sums.py", "total = 2\n") != first


def test_the_meter_has_a_state() -> None:
    modules = state._modules(state.MEASURES)
    assert {"convrfm.cnfa.watching", "convrfm.maths.symmetric"} <= modules.keys()
    assert "convrfm.cnfa.pictures" not in modules
