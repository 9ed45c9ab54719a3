"""The committed pages are those of the committed records, and every record says how to repeat it."""

from functools import cache
from pathlib import Path

import pytest

from convrfm.experiments import gathering
from convrfm.experiments.catalogue import EXPERIMENTS
from convrfm.experiments.finished_run import FinishedRun, read_run
from convrfm.experiments.pages import experiment_page, record
from convrfm.report.markdown import markdown_page
from convrfm.storage.atomic import as_json

pytestmark = pytest.mark.usefixtures("pages_without_pictures")

REPRODUCTION = Path(__file__).parents[2] / "docs" / "reproduction"
RUNS = sorted(path.parent for path in REPRODUCTION.glob("*/reproduction.json"))


@cache
def found_in(folder: Path) -> FinishedRun:
    """Read once: it draws every picture."""
    return read_run(folder, EXPERIMENTS)


def test_there_are_records() -> None:
    assert {folder.name for folder in RUNS} >= {"deep-noisy-mnist", "presets", "small-data"}


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_a_page_is_that_of_its_record(folder: Path) -> None:
    found = found_in(folder)
    assert (folder / "page.md").read_text(encoding="utf-8") == markdown_page(experiment_page(found))
    assert (folder / "record.json").read_text(encoding="utf-8") == as_json(record(found))


def test_the_table_is_that_of_all_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "read_run", lambda folder, _: found_in(folder))
    written = (REPRODUCTION / "README.md").read_text(encoding="utf-8")
    runs, page = gathering.gathered(REPRODUCTION, EXPERIMENTS)
    assert written == gathering.linked(page, runs)
