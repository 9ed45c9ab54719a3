"""`convrfm demo`: the tour."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ..commands.outputs import check_new_folder
from ..commands.terminal import console, say, worded
from .app import app
from .options import Device, Overwrite, Quiet, Seed


@app.command()
@worded
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("runs/demo"),
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """The tour: star, noisy digits and two photographs, in minutes on two cores."""
    check_new_folder(out, overwrite=overwrite)
    from ..commands.demo import run_demo

    results, report = run_demo(out, overwrite=overwrite, seed=seed, device=device, verbose=not quiet)
    table = Table("task", "images", "fixed kernel", "ConvRFM", "updates", title="test accuracy")
    for result in results:
        table.add_row(result.name, result.images, result.fixed, result.learned, result.updates)
    console.print(table)
    say(f"report: {report}")
