"""`convrfm reproduce`: figures and studies."""

from pathlib import Path
from typing import Annotated

import typer

from ..commands.terminal import console, say, worded
from ..experiments.scale import SAYS_NOTHING, Scale
from .app import app
from .options import Device, Download, Quiet, Seed


@app.command()
@worded
def reproduce(
    name: Annotated[
        str, typer.Argument(help="A name that --list shows, or table: every run in --out on one page.")
    ] = "",
    listed: Annotated[bool, typer.Option("--list", help="Show all experiments, their data and their times.")] = False,
    scale: Annotated[
        Scale, typer.Option(help="smoke: under a minute; laptop: two cores and an hour; full: as published.")
    ] = Scale.LAPTOP,
    data: Annotated[str | None, typer.Option(help="What --list says, for experiments that need images.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; by default runs/NAME-SCALE.")] = None,
    jobs: Annotated[int, typer.Option(help="Steps computed at once, each in a process of its own.", min=1)] = 1,
    download: Download = False,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace what an earlier run left in --out, once the first step of this one is there; before, it comes back.",
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """A published figure or a study from one command; after an interruption the same command continues."""
    from ..commands import reproduce as body
    from ..experiments.reproduce import Request

    if listed:
        console.print(body.list_of_experiments())
        return
    if name == "table":
        say(f"table: {body.write_table(Path('runs') if out is None else out)}")
        return
    request = Request(scale, seed, device, data, body.as_changes(changes or []), download, verbose=not quiet)
    folder = Path(f"runs/{name}-{scale}") if out is None else out
    found = body.run_experiment(name, request, folder, jobs=jobs, overwrite=overwrite)
    console.print(body.summary_table(found))
    say(f"claim: {found.experiment.claim}")
    say(f"{found.finding.verdict}: {found.finding.ours}")
    if scale is Scale.SMOKE:
        say(SAYS_NOTHING)
    say(f"report: {folder / 'report.html'}")
