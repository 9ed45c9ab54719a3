"""`convrfm doctor`: what this machine computes."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ..commands.outputs import check_new_file
from ..commands.terminal import console, say, worded
from .app import app
from .options import Device


@app.command()
@worded
def doctor(
    out: Annotated[Path | None, typer.Option(help="JSON file of the findings; by default none.")] = None,
    seed: Annotated[int, typer.Option(help="Of the images at which engines are compared.", min=0)] = 0,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file --out.")] = False,
) -> None:
    """Engines, threads, GPU and versions of this machine; leaves with 1 where an engine computes wrong numbers."""
    if out is not None:
        check_new_file(out, "--out", overwrite=overwrite)
    from ..commands.doctor import findings
    from ..storage.atomic import write_json

    found = findings(device, seed)
    table = Table(show_header=False)
    for finding in found:
        table.add_row(finding.name, escape(finding.text), style=None if finding.sound else "bold red")
    console.print(table)
    if out is not None:
        write_json(out, {finding.name: finding.text for finding in found})
        say(f"findings: {out}")
    if not all(finding.sound for finding in found):
        raise typer.Exit(1)
