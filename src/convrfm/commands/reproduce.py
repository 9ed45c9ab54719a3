"""What `convrfm reproduce` does: one experiment, the list of all, or the table of what was run."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.markup import escape
from rich.table import Column, Table

from ..errors import InputError
from ..experiments.catalogue import EXPERIMENTS
from ..experiments.finished_run import FinishedRun
from ..experiments.gathering import gather
from ..experiments.reproduce import Request, reproduce
from ..experiments.scale import Scale
from ..quantities import duration
from .terminal import remark


def list_of_experiments() -> Group:
    """All of them with the time they take on two cores, and below, which data they need."""
    times = Table(
        Column("name", no_wrap=True), "what", *Scale, title="convrfm reproduce NAME, and its time on two cores"
    )
    for name, experiment in EXPERIMENTS.items():
        taken = [duration(60.0 * experiment.minutes[scale]) for scale in Scale]
        times.add_row(name, experiment.title, *taken)
    times.add_row("table", "every run in the folder --out on one page")
    return Group(times, _data_needed())


def _data_needed() -> Table:
    """What `--data` must name; scale smoke does without."""
    by_data: dict[str | None, list[str]] = {}
    for name, experiment in EXPERIMENTS.items():
        by_data.setdefault(experiment.data, []).append(name)
    needed = Table(
        Column("name", ratio=1), Column("--data, but for --scale smoke", ratio=3), show_lines=True, expand=True
    )
    for data, names in by_data.items():
        needed.add_row(", ".join(names), data or "none: it generates its own images")
    return needed


def run_experiment(name: str, request: Request, out: Path, *, jobs: int, overwrite: bool) -> FinishedRun:
    """Run one experiment into its folder; settings and finished steps are told on the way.

    Raises:
        InputError: if anything does not fit; the message says what.
    """
    if not name:
        raise InputError("NAME is missing. convrfm reproduce --list shows them all.")
    if name not in EXPERIMENTS:
        raise InputError(f"NAME must be one of {', '.join(EXPERIMENTS)} or table; got {name}. See --list.")
    return reproduce(EXPERIMENTS[name], request, out, jobs=jobs, overwrite=overwrite, tell=remark)


def write_table(out: Path) -> Path:
    """The page about all runs in a folder."""
    gather(out, EXPERIMENTS)
    return out / "README.md"


def as_changes(words: Sequence[str]) -> dict[str, str]:
    """Settings by name from NAME=VALUE.

    Raises:
        InputError: if one has no =.
    """
    for word in words:
        if "=" not in word:
            raise InputError(f"--set takes NAME=VALUE; got {word}.")
    return dict(word.split("=", 1) for word in words)


def summary_table(found: FinishedRun) -> Table:
    """The table that sums a run up."""
    table = Table(*map(escape, found.finding.header), caption=escape(found.finding.caption))
    for row in found.finding.rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    return table
