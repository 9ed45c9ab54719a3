"""`convrfm reproduce table`: all runs of a folder on one page, claim beside finding."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..report import Page, Section
from ..report.markdown import markdown_page
from ..storage.atomic import write_text
from .experiment import Experiment
from .finished_run import FinishedRun, read_run
from .pages import duration, write_pages
from .run_folder import IDENTITY

HEADER = ("experiment", "claim", "published", "ours", "verdict", "scale", "time")


def gather(root: Path, experiments: Mapping[str, Experiment[Any]]) -> None:
    """Write the pages of every finished run below a folder again, and one page, as HTML and Markdown, about all of them.

    Args:
        root: the folder; each of its sub-folders with a run counts.
        experiments: those that are known, by name.

    Raises:
        InputError: if there is no run.
    """
    page = gathered_page(root, experiments)
    for folder in run_folders(root):
        with suppress(InputError):  # what cannot be read is named on the page
            write_pages(read_run(folder, experiments), folder)
    page.write(root / "report.html")
    write_text(root / "README.md", markdown_page(page))


def gathered_page(root: Path, experiments: Mapping[str, Experiment[Any]]) -> Page:
    """The page about all runs below a folder; those that are not finished are named.

    Raises:
        InputError: if there is no run.
    """
    folders = run_folders(root)
    if not folders:
        raise InputError(f"{root} has no sub-folder with a run. Run experiments first, or choose another --out.")
    rows, left_out = [], []
    for folder in folders:
        try:
            rows.append(_row(folder.name, read_run(folder, experiments)))
        except InputError as error:
            left_out.append(f"{folder.name}: {error}")
    section = Section("Claims and findings").table(HEADER, rows, "Each run has its own page in the folder of its name.")
    if left_out:
        section.warning("Left out:", *left_out)
    return Page("What was reproduced", "convrfm reproduce table", [section])


def run_folders(root: Path) -> list[Path]:
    """The sub-folders that hold runs."""
    return sorted(path.parent for path in root.glob(f"*/{IDENTITY}"))


def _row(name: str, found: FinishedRun) -> list[str]:
    experiment, finding = found.experiment, found.finding
    told = (experiment.claim, experiment.published, finding.ours, finding.verdict.value, found.run.scale.value)
    return [name, *told, duration(found.seconds)]
