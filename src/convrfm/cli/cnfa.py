"""`convrfm cnfa`: the meter."""

from pathlib import Path
from typing import Annotated

import typer

from ..commands.choices import PixelScale, Unreadable
from ..commands.outputs import check_new_folder
from ..commands.terminal import command_line, console, say, worded
from .app import app, defaults_of
from .options import Broken, Device, Download, ImageSize, Overwrite, Quiet, Seed


@app.command()
@worded
def cnfa(
    network: Annotated[
        str,
        typer.Argument(
            help="torchvision:NAME@DEFAULT (trained), torchvision:NAME or timm:NAME (random, or --weights), your own "
            "package.module:factory, whose code runs, or a run of train."
        ),
    ],
    data: Annotated[str, typer.Argument(help="A folder of pictures with or without classes, a .npz, or a data set.")],
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("runs/cnfa"),
    weights: Annotated[Path | None, typer.Option(help="Trained weights: .safetensors, .pt or .pth.")] = None,
    initial: Annotated[Path | None, typer.Option(help="Initial weights, for the controls that need them.")] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(help='Names of layers or patterns ("layer3.*": * is anything), separated by commas; default all.'),
    ] = None,
    probes: Annotated[
        int | None, typer.Option(help="Random-sign probes; by default all outputs exactly.", min=1)
    ] = None,
    positions: Annotated[
        int | None, typer.Option(help="Positions drawn of each huge map; by default all are measured.", min=1)
    ] = None,
    n_images: Annotated[int, typer.Option(help="Images, drawn at random.", min=1)] = 100,
    image_size: ImageSize = None,
    scale: Annotated[
        PixelScale,
        typer.Option(
            help="What 3-channel images become: imagenet subtracts its mean and divides by its deviation; none leaves them "
            "from 0 to 1 (float arrays as they are)."
        ),
    ] = PixelScale.IMAGENET,
    unreadable: Broken = Unreadable.ERROR,
    download: Download = False,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Measure patch-AGOP against filter covariance in every layer of a network."""
    parameters = dict(locals())  # the first line, so that it holds the parameters and nothing else
    check_new_folder(out, overwrite=overwrite)
    from ..commands.cnfa import CnfaSettings, run_cnfa
    from ..commands.idle_options import refuse_idle_options
    from ..commands.tables import layers_table
    from ..networks.trained import holds_training

    home = "networks by name: a run of convrfm train brings its own"
    by_name = not holds_training(Path(network))
    refuse_idle_options(
        {"scale": scale, "image_size": image_size},
        defaults_of("cnfa"),
        {"scale": (by_name, home), "image_size": (by_name, home)},
    )
    deciding = {name: value for name, value in parameters.items() if name not in ("out", "quiet", "overwrite")}
    report = run_cnfa(CnfaSettings(**deciding), out, overwrite=overwrite, quiet=quiet, command=command_line())
    console.print(layers_table(report))
    say(f"report: {out / 'report.html'}")
