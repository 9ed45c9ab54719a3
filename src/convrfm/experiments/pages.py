"""What every experiment leaves beside its steps: a record, a page, the same page in Markdown, and its pictures."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..report import Page, Section
from ..report.fit_sections import reproduction_section
from ..report.markdown import markdown_page
from ..storage.atomic import write_json, write_text
from .experiment import Line
from .finished_run import FinishedRun
from .run_folder import CONTENTS
from .scale import SAYS_NOTHING, Scale
from .settings import plain_settings


def write_pages(found: FinishedRun, folder: Path) -> None:
    """Write them all into the folder of the run."""
    page = experiment_page(found)
    (folder / "plots").mkdir(exist_ok=True)
    page.write_pictures(folder / "plots")
    page.write(folder / "report.html")
    write_text(folder / "page.md", markdown_page(page))
    write_json(folder / "record.json", record(found))


def record(found: FinishedRun) -> dict[str, object]:
    """Claim, verdict and numbers, with all that they depend on."""
    return {
        "experiment": found.experiment.name,
        "claim": found.experiment.claim,
        "published": found.experiment.published,
        "verdict": found.finding.verdict.value,
        "ours": found.finding.ours,
        "numbers": found.finding.numbers,
        "command": found.command,
        "identity": found.identity,
        "seconds": found.seconds,
        "versions": versions_of(found.lines),
    }


def experiment_page(found: FinishedRun) -> Page:
    """The claim and what became of it first, then everything behind it, then how to repeat it."""
    experiment, finding = found.experiment, found.finding
    summary = (
        Section("In short")
        .lead(experiment.claim)
        .prose(f"{finding.verdict.capitalize()}: {finding.ours}")
        .prose(f"Published: {experiment.published}")
    )
    if found.run.scale is Scale.SMOKE:
        summary.warning(SAYS_NOTHING)
    result = Section("Result").table(finding.header, finding.rows, finding.caption, finding.marked_rows)
    again = reproduction_section(found.command, plain_settings(found.run.settings), versions_of(found.lines), CONTENTS)
    subtitle = f"convrfm reproduce {experiment.name}, scale {found.run.scale}, {duration(found.seconds)}"
    return Page(experiment.title, subtitle, [summary, result, *finding.sections, again])


def versions_of(lines: Sequence[Line]) -> dict[str, str]:
    """What the steps were computed with, and how many of them with each."""
    found = dict[str, str]()
    for told, count in Counter(line.get("versions", "not recorded") for line in lines).items():
        steps = f"{count} of {len(lines)} steps"
        while steps in found:
            steps = f"another {steps}"
        found[steps] = told
    return found


def duration(seconds: float | None) -> str:
    """A time for readers: 45 s, 12 min, 3.4 h."""
    if seconds is None:
        return "time not recorded"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
