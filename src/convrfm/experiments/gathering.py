"""`convrfm reproduce table`: all runs of a folder on one page, claim beside finding."""

from collections.abc import Iterable, Mapping
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
        InputError: if there is no run, or something cannot be written.
    """
    runs, page = gathered(root, experiments)
    for folder, run in runs.items():
        write_pages(run, folder)
    page.write(root / "report.html")
    write_text(root / "README.md", linked(page, runs))


def linked(page: Page, folders: Iterable[Path]) -> str:
    """The page about all runs as Markdown, where each of them leads to its own."""
    return markdown_page(page, links={folder.name: f"{folder.name}/page.md" for folder in folders})


def gathered(root: Path, experiments: Mapping[str, Experiment[Any]]) -> tuple[dict[Path, FinishedRun], Page]:
    """The finished runs below a folder, each by its own, and the page about all; those that are not finished are named there.

    Raises:
        InputError: if there is no run.
    """
    folders = sorted(path.parent for path in root.glob(f"*/{IDENTITY}"))
    if not folders:
        raise InputError(f"{root} has no sub-folder with a run. Run experiments first, or choose another --out.")
    runs, rows, left_out = dict[Path, FinishedRun](), list[list[str]](), list[str]()
    for folder in folders:
        try:
            run = read_run(folder, experiments)
            rows.append(_row(folder.name, run))
            runs[folder] = run
        except InputError as error:
            left_out.append(f"{folder.name}: {error}")
    section = Section("Claims and findings").table(HEADER, rows, "Each run has its own page in the folder of its name.")
    if left_out:
        section.warning("Left out:", *left_out)
    by = "The command convrfm reproduce table wrote this page. Each run's own command is on its page."
    return runs, Page("What was reproduced", by, [section])


def _row(name: str, found: FinishedRun) -> list[str]:
    experiment, finding = found.experiment, found.finding
    told = (experiment.claim, experiment.published, finding.ours, finding.verdict.value, found.run.scale.value)
    return [name, *told, duration(found.seconds)]
