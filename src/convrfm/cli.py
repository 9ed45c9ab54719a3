"""The command line."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from convrfm.cnfa import Report
from convrfm.errors import ConvRFMError
from convrfm.experiments.cnfa_run import run_cnfa

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Feature learning in convolutional networks.")


@app.callback()
def convrfm() -> None:
    """Feature learning in convolutional networks: measured, and learned without back-propagation."""


@app.command("cnfa")
def cnfa_command(
    network: Annotated[str, typer.Argument(help="torchvision:NAME[@WEIGHTS], timm:NAME or package.module:factory")],
    data: Annotated[str, typer.Argument(help="folder of pictures, .npz, or the name of a data set")],
    out: Annotated[Path, typer.Option(help="folder for report.html, report.json, layers.safetensors, layers.csv")],
    weights: Annotated[Path | None, typer.Option(help="trained weights: .safetensors, .pt or .pth")] = None,
    initial: Annotated[Path | None, typer.Option(help="initial weights of the same network")] = None,
    layers: Annotated[str | None, typer.Option(help="names of layers, separated by commas; all by default")] = None,
    probes: Annotated[int | None, typer.Option(help="random-sign probes; all outputs exactly by default")] = None,
    n_images: Annotated[int, typer.Option(help="how many images")] = 100,
    image_size: Annotated[int | None, typer.Option(help="side that pictures are brought to")] = None,
    scale: Annotated[str, typer.Option(help="imagenet (mean and deviation) or none (0 to 1)")] = "imagenet",
    device: Annotated[str | None, typer.Option(help="such as cuda; the CPU by default")] = None,
    seed: Annotated[int, typer.Option(help="of every draw")] = 0,
) -> None:
    """Measure patch-AGOP against filter covariance in every layer of a network."""
    try:
        report = run_cnfa(
            network,
            data,
            out,
            weights=weights,
            initial=initial,
            layers=layers.split(",") if layers else None,
            probes=probes,
            n_images=n_images,
            image_size=None if image_size is None else (image_size, image_size),
            scale=scale,
            device=device,
            seed=seed,
            command=shlex.join(["convrfm", *sys.argv[1:]]),
        )
    except ConvRFMError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from error
    Console().print(_table(report))
    typer.echo(f"Wrote {out / 'report.html'}")


def _table(report: Report) -> Table:
    table = Table("layer", "kind", "cosine", "Pearson", "rotated")
    for layer in report.layers:
        if layer.final:
            table.add_row(layer.name, layer.kind, "1 by construction", "", "")
            continue
        trained, rotated = layer.correlations.trained, layer.correlations.rotated
        assert rotated is not None
        values = (trained.cosine.value, trained.pearson.value, rotated.pearson.value)
        table.add_row(layer.name, layer.kind, *(f"{value:.3f}" for value in values))
    return table
