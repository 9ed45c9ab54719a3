"""The command line: `convrfm demo | fit | predict | cnfa | reproduce | doctor`.

Every command's body is a file in `commands`, imported where it is called: help comes in the time of this file's imports,
without torch.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from .commands.choices import KernelName, PixelScale, Unreadable, Validation
from .commands.terminal import command_line, console, say, worded
from .experiments.scale import Scale

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

Data = Annotated[
    str,
    typer.Argument(
        help="A folder with a sub-folder per class (train, val and test are parts), or of pictures with --labels; a .npz or "
        ".parquet; bars, noisy-digits, star, sklearn:digits, torchvision:NAME."
    ),
]
Download = Annotated[bool, typer.Option("--download", help="Let torchvision fetch data.")]
Seed = Annotated[int, typer.Option(help="Decides every draw.", min=0)]
Device = Annotated[str, typer.Option(help='"auto" takes a GPU where there is one.')]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars.")]
ImageSize = Annotated[
    int | None, typer.Option(help="Bring pictures to this height and width: the center, cropped.", min=1)
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run left in --out.")]
Broken = Annotated[Unreadable, typer.Option(help="Stop at a broken picture, or skip it.")]


def _show_version(wanted: bool | None) -> None:
    if wanted:
        say(f"convrfm {version('convrfm')}")
        raise typer.Exit


@app.callback()
def _convrfm(
    _version: Annotated[
        bool | None,
        typer.Option("--version", help="Show the version and leave.", callback=_show_version, is_eager=True),
    ] = None,
) -> None:
    """Feature learning in convolutional networks: measured, and learned without back-propagation."""


@app.command()
@worded
def fit(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/fit"),
    kernel: Annotated[KernelName, typer.Option(help="ntk and nngp of a network, or a radial one.")] = KernelName.NTK,
    depth: Annotated[
        int, typer.Option(help="Convolutions of the network (ntk, nngp); with --deep: layers.", min=1)
    ] = 3,
    patch_size: Annotated[int, typer.Option(help="Side of the patches.", min=1)] = 3,
    bandwidth: Annotated[float, typer.Option(help="Scale of the distance between patches (laplace, gaussian).")] = 10.0,
    iterations: Annotated[int, typer.Option(help="Updates of the patch metric M.", min=0)] = 3,
    ridge: Annotated[
        float | None, typer.Option(help="Regularization; by default the best on held-out images.", min=0)
    ] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Layer upon layer, joined by random features of M.")] = False,
    filters: Annotated[int, typer.Option(help="Random features between layers (--deep).", min=1)] = 64,
    cv: Annotated[
        int | None, typer.Option(help="Folds to choose ridge and round by; default leave-one-out.", min=2)
    ] = None,
    agop_samples: Annotated[
        int | None, typer.Option(help="Images at which gradients are taken; default all.", min=1)
    ] = None,
    n_train: Annotated[int | None, typer.Option(help="Training images, drawn by class; default all.", min=1)] = None,
    n_test: Annotated[int | None, typer.Option(help="Test images, drawn by class; default all.", min=1)] = None,
    image_size: ImageSize = None,
    center: Annotated[
        bool, typer.Option("--center", help="Subtract each channel's mean over training images.")
    ] = False,
    sigma: Annotated[float | None, typer.Option(help="Noise level of bars and noisy-digits.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Table (CSV) of file names and labels, for a folder.")] = None,
    validation: Annotated[
        Validation, typer.Option(help="What a validation part does: choose ridge and round, or train.")
    ] = Validation.SELECT,
    unreadable: Broken = Unreadable.ERROR,
    download: Download = False,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Learn from images: a model, its metrics, predictions, plots and a report in one folder."""
    parameters = dict(locals())  # the first line, so that it holds the parameters and nothing else
    from .commands.fit import FitSettings
    from .commands.fit import fit as run_fit
    from .commands.tables import rounds_table

    deciding = {name: value for name, value in parameters.items() if name not in ("out", "quiet", "overwrite")}
    settings = FitSettings(**deciding)
    record = run_fit(settings, out, overwrite=overwrite, quiet=quiet, command=command_line())
    console.print(rounds_table(record.layers, record.judge.label))
    say(f"report: {out / 'report.html'}")


@app.command()
@worded
def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a saved model.")],
    data: Annotated[str, typer.Argument(help="A picture, a folder of pictures with or without classes, or a .npz.")],
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("predictions.csv"),
    unreadable: Broken = Unreadable.ERROR,
    seed: Annotated[int, typer.Option(help="Decides the draw of generated data.", min=0)] = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Label images with a fitted model."""
    from .commands.predict import predict as run_predict

    found = run_predict(run, data, out, unreadable=unreadable, seed=seed, device=device, overwrite=overwrite)
    if found is not None:
        say(found)
    say(f"predictions: {out}")


@app.command()
@worded
def cnfa(
    network: Annotated[
        str, typer.Argument(help="torchvision:NAME[@WEIGHTS], timm:NAME, or module:factory, whose code runs.")
    ],
    data: Annotated[str, typer.Argument(help="A folder of pictures with or without classes, a .npz, or a data set.")],
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("runs/cnfa"),
    weights: Annotated[Path | None, typer.Option(help="Trained weights: .safetensors, .pt or .pth.")] = None,
    initial: Annotated[Path | None, typer.Option(help="Initial weights, for the controls that need them.")] = None,
    layers: Annotated[str | None, typer.Option(help="Names of layers, separated by commas; default all.")] = None,
    probes: Annotated[
        int | None, typer.Option(help="Random-sign probes; by default all outputs exactly.", min=1)
    ] = None,
    n_images: Annotated[int, typer.Option(help="Images, drawn at random.", min=1)] = 100,
    image_size: ImageSize = None,
    scale: Annotated[
        PixelScale, typer.Option(help="imagenet: its mean and deviation; none: 0 to 1.")
    ] = PixelScale.IMAGENET,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Measure patch-AGOP against filter covariance in every layer of a network."""
    from .commands.cnfa import random_weights_warning, run_cnfa
    from .commands.tables import layers_table

    report = run_cnfa(
        network,
        data,
        out,
        weights=weights,
        initial=initial,
        layers=layers.split(",") if layers else None,
        probes=probes,
        n_images=n_images,
        image_size=image_size,
        scale=scale,
        device=device,
        seed=seed,
        overwrite=overwrite,
        command=command_line(),
        progress=not quiet,
    )
    for warning in random_weights_warning(network, weights):
        console.print(warning, style="bold red", markup=False, highlight=False, soft_wrap=True)
    console.print(layers_table(report))
    say(f"report: {out / 'report.html'}")


@app.command()
@worded
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("runs/demo"),
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """The tour: star, noisy digits and two photographs, in minutes on two cores."""
    from .commands.demo import run_demo

    results, report = run_demo(out, seed=seed, device=device, verbose=not quiet)
    table = Table("task", "images", "fixed kernel", "ConvRFM", "updates", title="test accuracy")
    for result in results:
        table.add_row(result.name, result.images, result.fixed, result.learned, result.updates)
    console.print(table)
    say(f"report: {report}")


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
    download: Download = False,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """A published figure or a study from one command; after an interruption the same command continues."""
    from .commands import reproduce as body
    from .experiments.reproduce import Request

    if listed:
        console.print(body.list_of_experiments())
        return
    if name == "table":
        say(f"table: {body.write_table(Path('runs') if out is None else out)}")
        return
    request = Request(scale, seed, device, data, body.as_changes(changes or []), download, verbose=not quiet)
    folder = Path(f"runs/{name}-{scale}") if out is None else out
    found = body.run_experiment(name, request, folder, overwrite=overwrite)
    console.print(body.summary_table(found))
    say(f"claim: {found.experiment.claim}")
    say(f"{found.finding.verdict}: {found.finding.ours}")
    say(f"report: {folder / 'report.html'}")


@app.command()
@worded
def doctor(
    out: Annotated[Path | None, typer.Option(help="JSON file of the findings; by default none.")] = None,
    seed: Annotated[int, typer.Option(help="Of the images at which engines are compared.", min=0)] = 0,
    device: Device = "auto",
) -> None:
    """Engines, threads, GPU and versions of this machine; leaves with 1 where an engine computes wrong numbers."""
    from .commands.doctor import findings
    from .storage.atomic import write_json

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


if __name__ == "__main__":
    app()
