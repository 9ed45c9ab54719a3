"""`convrfm fit`: a model from images."""

from pathlib import Path
from typing import Annotated

import typer

from ..commands.choices import (
    AugmentationName,
    FirstFiltersName,
    InitialMetricName,
    KernelName,
    Network,
    PatchNormalizationName,
    SolverName,
    Unreadable,
    Validation,
)
from ..commands.outputs import SETTINGS, check_new_folder
from ..commands.terminal import command_line, console, say, worded
from .app import app, defaults_of
from .options import (
    Broken,
    Data,
    Device,
    Download,
    ImageSize,
    Labels,
    Overwrite,
    Quiet,
    Scheduler,
    Seed,
    Workers,
    where_work_is_done,
)

AGAIN = "Given again: one more model to compare."


@app.command()
@worded
def fit(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/fit"),
    kernel: Annotated[
        list[KernelName], typer.Option(help=f"ntk and nngp of a network, or a radial one of patches. {AGAIN}")
    ] = [KernelName.NTK],
    network: Annotated[
        list[Network],
        typer.Option(
            help="Of ntk and nngp: convolutions alone, averaged over squares of positions (--pool-size), or over all of them; "
            f"or Myrtle. {AGAIN}"
        ),
    ] = [Network.VANILLA],
    depth: Annotated[
        list[int], typer.Option(help=f"Convolutions of the network; with --deep: layers. {AGAIN}", min=1)
    ] = [3],
    patch_size: Annotated[list[int], typer.Option(help=f"Side of the patches. {AGAIN}", min=1)] = [3],
    pool_size: Annotated[int, typer.Option(help="Side of the squares of --network average.", min=1)] = 2,
    bandwidth: Annotated[float, typer.Option(help="Scale of the distance between patches (radial kernels).")] = 10.0,
    iterations: Annotated[int, typer.Option(help="Updates of the patch metric M.", min=0)] = 3,
    shrinkage: Annotated[
        list[float],
        typer.Option(
            help="How far an update stays with the M before it, 0 to below 1. Given again: one more, of which folds (--cv) "
            "or a validation part choose.",
            min=0,
        ),
    ] = [0.0],
    ridge: Annotated[
        float | None,
        typer.Option(
            help="Regularization, in units of the kernel matrix's largest entry; by default the best of 17 by leave-one-out, "
            "by folds (--cv) or on a validation part.",
            min=0,
        ),
    ] = None,
    solver: Annotated[
        SolverName,
        typer.Option(
            help="exact: decompose the kernel matrix; cg: conjugate gradients on tiles of it; features: random features "
            "(ntk, nngp); auto: exact where memory holds it, else cg."
        ),
    ] = SolverName.AUTO,
    n_features: Annotated[int, typer.Option(help="Random filters of a convolution (--solver features).", min=1)] = 1024,
    first_filters: Annotated[
        FirstFiltersName,
        typer.Option(help="Of the first convolution: Gaussian, or training patches (--solver features)."),
    ] = FirstFiltersName.GAUSSIAN,
    memory_budget: Annotated[
        int | None,
        typer.Option(help="Bytes for all but the images (features: without temporaries); default what is free.", min=1),
    ] = None,
    patch_normalization: Annotated[
        PatchNormalizationName, typer.Option(help="Patches less their mean and over their deviation (ntk, nngp).")
    ] = PatchNormalizationName.NONE,
    initial_metric: Annotated[
        InitialMetricName, typer.Option(help="M before any update: the identity, or what whitens patches.")
    ] = InitialMetricName.IDENTITY,
    augment: Annotated[
        list[AugmentationName],
        typer.Option(help="Copies of training images: mirrored, or moved by a pixel. Given again: both."),
    ] = [],
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
    labels: Labels = None,
    validation: Annotated[
        Validation, typer.Option(help="What a validation part does: choose ridge and round, or train.")
    ] = Validation.SELECT,
    unreadable: Broken = Unreadable.ERROR,
    baselines: Annotated[
        bool,
        typer.Option(help="Logistic regression and a random forest on the same split; how long they take is told."),
    ] = True,
    download: Download = False,
    seed: Seed = 0,
    device: Device = "auto",
    workers: Workers = None,
    scheduler: Scheduler = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Learn from images: a model, its metrics, predictions, plots and a report in one folder."""
    parameters = dict(locals())  # the first line, so that it holds the parameters and nothing else
    check_new_folder(out, overwrite=overwrite, unfinished=SETTINGS)
    from ..commands.fit import FitSettings
    from ..commands.fit import fit as run_fit
    from ..commands.idle_options import refuse_idle_options
    from ..commands.run_files import INTERRUPTED
    from ..commands.tables import beside_table, candidates_table, rounds_table
    from ..report.comparison_sections import why_next
    from ..report.quality_sections import compared_with

    beside = ("out", "quiet", "overwrite", "workers", "scheduler")
    deciding = {name: value for name, value in parameters.items() if name not in beside}
    settings, defaults = FitSettings(**deciding), defaults_of("fit")
    refuse_idle_options(parameters, defaults, settings.belonging)
    where = where_work_is_done(workers, scheduler)
    record = run_fit(
        settings, out, overwrite=overwrite, quiet=quiet, command=command_line(), defaults=defaults, where=where
    )
    if record.candidates:
        console.print(candidates_table(record))
    console.print(rounds_table(record.layers, record.judge.label))
    if record.baselines:
        console.print(beside_table(record))
        say(compared_with(record.baselines, record.stages[-1]))
    if record.next_steps or record.lost:
        say(why_next(record))
    if record.lost and deep:
        say("Without --deep the fixed kernel is kept where learning loses.")
    if record.next_steps:
        say("To try next, with the time of the rounds alone:")
        for step in record.next_steps:
            say(f"  {step.cost}: {step.command}")
    say(f"report: {out / 'report.html'}")
    if INTERRUPTED in record.notes:
        say(INTERRUPTED)
        raise typer.Exit(130)
