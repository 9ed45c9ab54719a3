"""`convrfm train`: a network of the paper, by its protocols."""

from pathlib import Path
from typing import Annotated

import typer

from ..commands.choices import Unreadable
from ..commands.terminal import command_line, say, worded
from .app import app
from .options import Broken, Data, Device, Download, ImageSize, Overwrite, Quiet, Seed


@app.command()
@worded
def train(
    network: Annotated[
        str,
        typer.Argument(
            help="vanilla, cnn-vec, average-pooled, max-pooled, simplenet or myrtle, as the paper has them."
        ),
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command continues an interrupted one.")] = Path(
        "runs/train"
    ),
    protocol: Annotated[
        str, typer.Option(help="How the paper trains: adam, adam-toy, sgd, sgd-toy, fig9 or adadelta.")
    ] = "adam",
    width: Annotated[
        int | None, typer.Option(help="Channels (simplenet: of the first layer); default 64.", min=1)
    ] = None,
    depth: Annotated[int | None, typer.Option(help="Convolutions of vanilla (3) and myrtle (5, 7, 10).", min=1)] = None,
    patch_size: Annotated[int | None, typer.Option(help="Side of the filters; default 3.", min=1)] = None,
    epochs: Annotated[int | None, typer.Option(help="At most; default the protocol's.", min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Default the protocol's.", min=0)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Default the protocol's.", min=1)] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs without a better one on held-out images after which to stop.", min=1)
    ] = None,
    n_train: Annotated[
        int | None, typer.Option(help="Training images, a tenth of them held out; default all.", min=1)
    ] = None,
    n_test: Annotated[int | None, typer.Option(help="Test images, drawn by class; default all.", min=1)] = None,
    image_size: ImageSize = None,
    unreadable: Broken = Unreadable.ERROR,
    every: Annotated[int, typer.Option(help="Measure all layers after every so many epochs.", min=1)] = 10,
    n_images: Annotated[int, typer.Option(help="Training images to measure on.", min=1)] = 50,
    download: Download = False,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Train a network of the paper, and measure every layer along training."""
    parameters = dict(locals())  # the first line, so that it holds the parameters and nothing else
    from ..commands.train import TrainSettings, run_training

    deciding = {name: value for name, value in parameters.items() if name not in ("out", "quiet", "overwrite")}
    say(run_training(TrainSettings(**deciding), out, overwrite=overwrite, quiet=quiet, command=command_line()))
    say(f"report: {out / 'report.html'}")
