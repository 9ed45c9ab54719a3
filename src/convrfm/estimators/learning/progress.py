"""Progress bars: round, stage, tiles done, time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..solving.solver import Watch

Shown = TypeVar("Shown")


def within(place: str, watch: Callable[[str], Shown]) -> Callable[[str], Shown]:
    """The same watch, of which every label begins with this place."""
    return lambda label: watch(f"{place}, {label}")


@contextmanager
def shown_progress(*, shown: bool) -> Iterator[Callable[[str], Watch]]:
    """Within it, `watch(round)(stage)` gives the callback that a kernel tells its tiles to; None where not shown."""
    if not shown:
        yield lambda label: lambda stage: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("tile"),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("left in this stage"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None)

        def watch(label: str) -> Watch:
            def stage_bar(stage: str) -> Callable[[int, int], None]:
                bars.reset(task, description=f"{label}, {stage}", total=None)
                return lambda done, total: bars.update(task, completed=done, total=total)

            return stage_bar

        yield watch
