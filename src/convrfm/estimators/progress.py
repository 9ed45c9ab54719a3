"""Progress bars: round, stage, tiles done, time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .rounds import Watch


@contextmanager
def shown_progress(n_rounds: int, *, shown: bool) -> Iterator[Callable[[int], Watch]]:
    """Within it, `watch(iteration)(stage)` gives the callback that a kernel tells its tiles to; None where not
    shown."""
    if not shown:
        yield lambda iteration: lambda stage: None
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

        def watch(iteration: int) -> Watch:
            def stage_bar(stage: str) -> Callable[[int, int], None]:
                bars.reset(task, description=f"round {iteration}/{n_rounds - 1}, {stage}", total=None)
                return lambda done, total: bars.update(task, completed=done, total=total)

            return stage_bar

        yield watch
