"""`convrfm predict`: labels from a model."""

from pathlib import Path
from typing import Annotated

import typer

from ..commands.choices import Unreadable
from ..commands.outputs import check_new_file
from ..commands.terminal import say, worded
from ..errors import InputError
from .app import app
from .options import Broken, Device, Download, Labels, Overwrite


@app.command()
@worded
def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a saved model.")],
    data: Annotated[
        list[str], typer.Argument(help="Pictures, folders of pictures with or without classes, or .npz files.")
    ],
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("predictions.csv"),
    page: Annotated[
        Path | None, typer.Option(help="HTML page to write: every picture, its probabilities, where the model looks.")
    ] = None,
    unreadable: Broken = Unreadable.ERROR,
    seed: Annotated[
        int | None, typer.Option(help="Decides the draw of generated data; default as for the run.", min=0)
    ] = None,
    labels: Labels = None,
    download: Download = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Label images with a fitted model."""
    if page is not None and page.resolve() == out.resolve():
        raise InputError(f"the table and the page must be two files; got {out} for both. Choose another --page.")
    for option, path in (("--out", out), ("--page", page)):
        if path is not None:
            check_new_file(path, option, overwrite=overwrite)
    from ..commands.predict import predict as run_predict

    for sentence in run_predict(
        run,
        data,
        out,
        page=page,
        unreadable=unreadable,
        seed=seed,
        download=download,
        labels=labels,
        device=device,
    ):
        say(sentence)
    say(f"predictions: {out}")
    if page is not None:
        say(f"page: {page}")
