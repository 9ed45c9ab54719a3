"""What the doctor says of optional libraries."""

import importlib.util
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from convrfm.cli import app
from convrfm.commands import doctor

BROKEN = "built_for_another_torch"
TOLD = (
    f"{BROKEN} is installed, but does not load here (operator nms does not exist). Install {BROKEN} and torch again, from one "
    "source and in versions that belong together."
)


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / f"{BROKEN}.py").write_text('raise RuntimeError("operator nms does not exist\\nand a long story")\n')
    monkeypatch.syspath_prepend(tmp_path)
    return BROKEN


def test_an_installed_library_that_does_not_load_is_told_with_the_reason(broken: str) -> None:
    assert doctor.optional_library(broken, "vision") == TOLD


def test_one_that_loads_is_told_by_its_version_and_one_that_is_absent_by_what_installs_it() -> None:
    assert doctor.optional_library("numpy", "vision") == version("numpy")
    absent = "nowhere_of_this_test"
    assert importlib.util.find_spec(absent) is None
    assert doctor.optional_library(absent, "gp") == 'absent; pip install "convrfm[gp]"'


def test_a_library_that_does_not_load_is_no_engine_that_computes_wrong_numbers(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "OPTIONAL", {broken: "vision"})
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0
    assert TOLD in " ".join(re.sub("[│─┌┐└┘├┤┬┴┼]", " ", result.output).split())  # in a table of whatever width


def test_a_library_of_a_distribution_of_another_name_is_told_by_its_own_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of nightly builds, whose triton is of pytorch-triton; a folder that only has the name is no library."""
    (tmp_path / "of_another_name.py").write_text('__version__ = "3.1+git"\n')
    (tmp_path / "only_a_folder").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert doctor.optional_library("of_another_name", "cuda") == "3.1+git"
    assert doctor.optional_library("only_a_folder", "cuda").startswith("absent")
