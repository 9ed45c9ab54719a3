"""The command line: `convrfm demo | fit | predict | cnfa | reproduce | doctor`."""

import csv
import functools
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from . import datasets, kernels
from .cnfa import Report
from .datasets import Preprocessing
from .errors import ConvRFMError, InputError
from .estimators import ConvRFMClassifier, DeepConvRFMClassifier, load
from .estimators.classification import Classifier
from .estimators.judge import Judge
from .experiments.cnfa_run import Scale, run_cnfa
from .experiments.demo import run_demo
from .experiments.doctor import findings
from .experiments.figure import FigureScale, Request
from .experiments.fit_run import check_folder, write_run
from .experiments.reproduce import FIGURES
from .experiments.reproduce import reproduce as reproduce_figure
from .kernels.patch_kernel import PatchKernel
from .report import LayerRecord
from .report.headline import interval_text
from .storage.atomic import write_json, written_whole

app = typer.Typer(
    help="Feature learning in convolutional networks: measured, and learned without back-propagation.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
console = Console()
complaints = Console(stderr=True)


class KernelName(StrEnum):
    """A kernel: two of the infinitely wide network, two radial ones of patches."""

    NTK = "ntk"
    NNGP = "nngp"
    LAPLACE = "laplace"
    GAUSSIAN = "gaussian"

    def build(self, depth: int, patch_size: int, bandwidth: float) -> PatchKernel:
        """The kernel with these settings, as far as they concern it."""
        if self in (KernelName.NTK, KernelName.NNGP):
            kind = kernels.NTK if self is KernelName.NTK else kernels.NNGP
            return kind(kernels.vanilla(depth, patch_size))
        return (kernels.Laplace if self is KernelName.LAPLACE else kernels.Gaussian)(patch_size, bandwidth)


class Unreadable(StrEnum):
    """What happens to a picture that cannot be read."""

    ERROR = "error"
    SKIP = "skip"


def show_error(sentence: str) -> None:
    """The sentence on the error stream, as it is."""
    complaints.print("error:", style="bold red", end=" ")
    complaints.print(sentence, markup=False, highlight=False, soft_wrap=True)


def worded(command: Callable[..., None]) -> Callable[..., None]:
    """Show the library's own errors as sentences, not as tracebacks; leave with 2, or 130 after Ctrl-C."""

    @functools.wraps(command)
    def wrapped(*args: Any, **keywords: Any) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default", UserWarning)
                warnings.showwarning = lambda message, *_: complaints.print(
                    str(message), style="yellow", markup=False, soft_wrap=True
                )
                command(*args, **keywords)
        except ConvRFMError as error:
            show_error(str(error))
            raise typer.Exit(2) from error
        except OSError as error:
            show_error(f"{error}. Look at the path and its rights.")
            raise typer.Exit(2) from error
        except KeyboardInterrupt as interrupt:
            complaints.print("interrupted.")
            raise typer.Exit(130) from interrupt

    return wrapped


Data = Annotated[
    str,
    typer.Argument(
        help="A folder with a sub-folder per class, a .npz, bars, noisy-digits, star, sklearn:digits, torchvision:NAME."
    ),
]
Download = Annotated[bool, typer.Option("--download", help="Let torchvision fetch data.")]
Seed = Annotated[int, typer.Option(help="Decides every draw.", min=0)]
Device = Annotated[str, typer.Option(help='"auto" takes a GPU where there is one.')]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars.")]
ImageSize = Annotated[int | None, typer.Option(help="Bring pictures to this height and width.", min=1)]


@app.command()
@worded
def fit(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/fit"),
    kernel: Annotated[KernelName, typer.Option(help="ntk and nngp of a network, or a radial one.")] = KernelName.NTK,
    depth: Annotated[int, typer.Option(help="Convolutions of the network (ntk, nngp); with --deep: layers.")] = 3,
    patch_size: Annotated[int, typer.Option(help="Side of the patches.")] = 3,
    bandwidth: Annotated[float, typer.Option(help="Scale of the distance between patches (laplace, gaussian).")] = 10.0,
    iterations: Annotated[int, typer.Option(help="Updates of the patch metric M.")] = 3,
    ridge: Annotated[float | None, typer.Option(help="Regularization; by default the best on held-out images.")] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Layer upon layer, joined by random features of M.")] = False,
    filters: Annotated[int, typer.Option(help="Random features between layers (--deep).")] = 64,
    cv: Annotated[int | None, typer.Option(help="Folds to choose ridge and round by; default leave-one-out.")] = None,
    agop_samples: Annotated[int | None, typer.Option(help="Images at which gradients are taken; default all.")] = None,
    n_train: Annotated[int | None, typer.Option(help="Training images, drawn by class; default all.")] = None,
    n_test: Annotated[int | None, typer.Option(help="Test images, drawn by class; default all.")] = None,
    image_size: ImageSize = None,
    center: Annotated[
        bool, typer.Option("--center", help="Subtract each channel's mean over training images.")
    ] = False,
    sigma: Annotated[float | None, typer.Option(help="Noise level of bars and noisy-digits.")] = None,
    unreadable: Annotated[Unreadable, typer.Option(help="Stop at a broken picture, or skip it.")] = Unreadable.ERROR,
    download: Download = False,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in --out.")] = False,
    quiet: Quiet = False,
) -> None:
    """Learn from images: a model, its metrics, predictions, plots and a report in one folder."""
    parameters = dict(locals())  # the first line, so that it holds the parameters and nothing else
    settings = {name: value for name, value in parameters.items() if name not in ("out", "quiet", "overwrite")}
    family = functools.partial(kernel.build, patch_size=patch_size, bandwidth=bandwidth)
    model: ConvRFMClassifier | DeepConvRFMClassifier = (
        DeepConvRFMClassifier(family, depth=depth, n_filters=filters) if deep else ConvRFMClassifier(family(depth))
    )
    check_folder(out, overwrite=overwrite)
    images = datasets.load(
        data,
        n_train=n_train,
        n_test=n_test,
        seed=seed,
        image_size=None if image_size is None else (image_size, image_size),
        center=center,
        unreadable=unreadable.value,
        sigma=sigma,
        download=download,
    )
    for note in images.notes:
        complaints.print(note, style="dim", markup=False, soft_wrap=True)
    model.set_params(
        n_iterations=iterations,
        ridge="loo" if ridge is None else ridge,
        agop_samples=agop_samples,
        cv=cv,
        device=device,
        random_state=seed,
        verbose=not quiet,
    ).fit(images.x_train, images.y_train)
    layers = write_run(out, model, images, settings, shlex.join(["convrfm", *sys.argv[1:]]))
    console.print(rounds_table(layers, (Judge.LEAVE_ONE_OUT if cv is None else Judge.CROSS_VALIDATION).label))
    console.print(f"report: {out / 'report.html'}", markup=False, soft_wrap=True)


@app.command()
@worded
def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a saved model.")],
    data: Annotated[str, typer.Argument(help="A picture, a folder of pictures with or without classes, or a .npz.")],
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("predictions.csv"),
    unreadable: Annotated[Unreadable, typer.Option(help="Stop at a broken picture, or skip it.")] = Unreadable.ERROR,
    seed: Annotated[int, typer.Option(help="Decides the draw of generated data.", min=0)] = 0,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the table in --out.")] = False,
    quiet: Quiet = False,
) -> None:
    """Label images with a fitted model."""
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists already. Choose another --out, or pass --overwrite.")
    model = load(run / "model.safetensors" if run.is_dir() else run, device)
    channels, height, width = model.x_fit_.shape[1:]
    preprocessing = model.preprocessing_ or Preprocessing((height, width), channels)
    x, names, labels, notes = datasets.load_for_prediction(data, preprocessing, unreadable=unreadable.value, seed=seed)
    columns: dict[str, Any] = {"name": names}
    if labels is not None:
        columns["true"] = labels
    if isinstance(model, Classifier):
        probabilities = model.predict_proba(x)
        predicted = model.classes_[probabilities.argmax(1)]
        columns["predicted"] = predicted
        for label, of_class in zip(model.classes_, probabilities.T, strict=True):
            columns[f"p {label}"] = [f"{p:.4f}" for p in of_class]
    else:
        predicted = columns["predicted"] = model.predict(x)
    with written_whole(out) as partial, partial.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows(zip(*columns.values(), strict=True))
    for note in notes:
        complaints.print(note, style="dim", markup=False, soft_wrap=True)
    if labels is not None and isinstance(model, Classifier):
        console.print(accuracy_sentence(predicted, labels, model.classes_), markup=False)
    elif len(names) == 1:
        console.print(f"{names[0]}: {predicted[0]}", markup=False, highlight=False)
    console.print(f"predictions: {out}", markup=False, soft_wrap=True)


@app.command()
@worded
def cnfa(
    network: Annotated[str, typer.Argument(help="torchvision:NAME[@WEIGHTS], timm:NAME or package.module:factory.")],
    data: Annotated[str, typer.Argument(help="A folder of pictures with or without classes, a .npz, or a data set.")],
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("runs/cnfa"),
    weights: Annotated[Path | None, typer.Option(help="Trained weights: .safetensors, .pt or .pth.")] = None,
    initial: Annotated[Path | None, typer.Option(help="Initial weights, for the controls that need them.")] = None,
    layers: Annotated[str | None, typer.Option(help="Names of layers, separated by commas; default all.")] = None,
    probes: Annotated[int | None, typer.Option(help="Random-sign probes; by default all outputs exactly.")] = None,
    n_images: Annotated[int, typer.Option(help="Images, drawn at random.", min=1)] = 100,
    image_size: ImageSize = None,
    scale: Annotated[Scale, typer.Option(help="imagenet: its mean and deviation; none: 0 to 1.")] = Scale.IMAGENET,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in --out.")] = False,
    quiet: Quiet = False,
) -> None:
    """Measure patch-AGOP against filter covariance in every layer of a network."""
    check_folder(out, overwrite=overwrite)
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
        progress=not quiet,
    )
    console.print(layers_table(report))
    console.print(f"report: {out / 'report.html'}", markup=False, soft_wrap=True)


@app.command()
@worded
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("runs/demo"),
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """The tour: star, noisy digits and two photographs, in minutes on two cores."""
    results, report = run_demo(out, seed=seed, device=device, verbose=not quiet)
    table = Table("task", "images", "fixed kernel", "ConvRFM", "updates", title="test accuracy")
    for result in results:
        table.add_row(result.name, result.images, result.fixed, result.learned, result.updates)
    console.print(table)
    console.print(f"report: {report}", markup=False, soft_wrap=True)


@app.command()
@worded
def reproduce(
    figure: Annotated[str, typer.Argument(help=f"One of {', '.join(FIGURES)}.")],
    scale: Annotated[
        FigureScale, typer.Option(help="smoke takes seconds, full the published sizes.")
    ] = FigureScale.FULL,
    data: Annotated[str | None, typer.Option(help="For noisy-mnist: MNIST as .npz, or torchvision:MNIST.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; by default runs/FIGURE-SCALE.")] = None,
    download: Download = False,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in --out.")] = False,
    quiet: Quiet = False,
) -> None:
    """A published figure from one command; after an interruption the same command continues."""
    folder = Path(f"runs/{figure}-{scale}") if out is None else out
    found = reproduce_figure(
        figure,
        Request(scale, seed, device, data, download),
        folder,
        overwrite=overwrite,
        verbose=not quiet,
        command=shlex.join(["convrfm", *sys.argv[1:]]),
    )
    table = Table(*found.header)
    for row in found.rows:
        table.add_row(*map(str, row))
    console.print(table)
    console.print(f"report: {folder / 'report.html'}", markup=False, soft_wrap=True)


@app.command()
@worded
def doctor(
    out: Annotated[Path | None, typer.Option(help="JSON file of the findings; by default none.")] = None,
    seed: Annotated[int, typer.Option(help="Of the images at which engines are compared.", min=0)] = 0,
    device: Device = "auto",
) -> None:
    """Engines, threads, GPU and versions of this machine; leaves with 1 where an engine computes wrong numbers."""
    found = findings(device, seed)
    table = Table(show_header=False)
    for finding in found:
        table.add_row(finding.name, escape(finding.text), style=None if finding.sound else "bold red")
    console.print(table)
    if out is not None:
        write_json(out, {finding.name: finding.text for finding in found})
        console.print(f"findings: {out}", markup=False, soft_wrap=True)
    if not all(finding.sound for finding in found):
        raise typer.Exit(1)


def accuracy_sentence(predicted: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> str:
    """How many labels were predicted; labels of another type than the model's are compared as text."""
    texts, known = labels.astype(str), np.isin(labels.astype(str), classes.astype(str))
    if not known.any():
        return f"no accuracy: the model knows none of these labels; its classes are {', '.join(map(str, classes[:10]))}"
    return f"accuracy: {np.mean(predicted.astype(str) == texts):.2%} of {len(labels)} images"


def layers_table(report: Report) -> Table:
    """Correlation of CNFM and AGOP in every layer, beside its rotation control."""
    table = Table("layer", "kind", "cosine", "Pearson", "G rotated")
    for layer in report.layers:
        trained, rotated = layer.correlations.trained, layer.correlations.rotated
        if layer.final or rotated is None:
            table.add_row(layer.name, layer.kind, "1 by construction")
            continue
        values = (trained.cosine.value, trained.pearson.value, rotated.pearson.value)
        table.add_row(layer.name, layer.kind, *(f"{value:.3f}" for value in values))
    return table


def rounds_table(layers: Sequence[LayerRecord], judge: str) -> Table:
    """Accuracy of every round of every layer; the kept ones are marked."""
    deep = len(layers) > 1
    columns = ("round", "ridge", "train", judge, "test (95% interval)", "seconds")
    table = Table(*["layer"] * deep, *columns, box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for number, layer in enumerate(layers, 1):
        for record in layer.rounds:
            interval = interval_text(record.test_interval, "classification")
            table.add_row(
                *[str(number)] * deep,
                f"{record.iteration}{' *' if record is layer.kept else ''}",
                f"{record.ridge:.1e}",
                f"{record.train_score:.1%}",
                f"{record.held_out_score:.1%}",
                "" if record.test_score is None else f"{record.test_score:.1%} ({interval})",
                f"{record.seconds:.1f}",
            )
        table.add_section()
    return table


if __name__ == "__main__":
    app()
