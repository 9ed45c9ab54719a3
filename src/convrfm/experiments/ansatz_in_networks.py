"""Trained networks measured for Figs. 1 and 7: published ones by their titles, and runs of `convrfm train` by their folders."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from ..cnfa import LayerReport, Report, measure
from ..kernels.devices import chosen_device
from ..maths.psd import unit_trace
from ..networks import load_trained
from .experiment import Line, Run, Step
from .kept_pictures import kept
from .layer_lines import LayerLine, layer_lines, read_layers
from .published_networks import IMAGENET, SMALL, SUBJECTS, measured
from .settings import refuse_others
from .training_images import Draw, drawn_images

PUBLISHED = {subject.title: subject for subject in (*SUBJECTS, *IMAGENET, *SMALL)}
LARGEST = 1024  # entries of a patch whose matrices are shown
WANTED = (
    "a folder with weights/ (NAME.safetensors with torchvision's names; --download fetches missing ones but SqueezeNet's), "
    "imagenet_photos/, cifar10/ and the data sets of the runs."
)


@dataclass(frozen=True)
class NetworksSettings:
    """Networks by title, folders of trainings, the images to measure on, and probes where there are many outputs."""

    networks: tuple[str, ...]
    runs: tuple[str, ...] = ()
    n_images: int = 100
    n_photographs: int = 50
    probes: int = 16


def plan(run: Run[NetworksSettings]) -> Iterator[Step]:
    """A step for every network.

    Raises:
        InputError: if a title is unknown, or something is named twice.
    """
    refuse_others("networks", run.settings.networks, PUBLISHED)
    refuse_others("runs", run.settings.runs, dict.fromkeys(run.settings.runs))
    for title in run.settings.networks:
        yield Step({"network": title}, partial(published_line, run, title))
    for folder in run.settings.runs:
        yield Step({"network": folder}, partial(trained_line, run, folder))


def published_line(run: Run[NetworksSettings], title: str) -> Line:
    """A network with published weights beside a fresh one: its true initial weights are not known."""
    subject, settings = PUBLISHED[title], run.settings
    if subject.probes is None:
        subject = replace(subject, n_images=settings.n_images)
    else:
        subject = replace(subject, n_images=settings.n_photographs, probes=settings.probes)
    return line_of(measured(subject, run), of="a fresh network")


def trained_line(run: Run[NetworksSettings], folder: str) -> Line:
    """A network of this project's training, with its true initial weights, on images of its own data set."""
    trained = load_trained(Path(folder))
    _, height, width = trained.card.image_shape
    draw = Draw(run.settings.n_images, None, (height, width))
    data = drawn_images(trained.card.data, run.data, draw, seed=run.seed, download=run.download)
    report = measure(
        trained.network,
        trained.card.scaling.apply(torch.from_numpy(data.x_train)),
        initial=trained.initial,
        generator=torch.Generator().manual_seed(run.seed),
        progress=run.verbose,
        device=chosen_device(run.device),
    )
    return line_of(report, of="its own initial weights")


def line_of(report: Report, of: str) -> Line:
    """What the page shows of a network."""
    return {
        "n_images": report.n_images,
        "probes": report.probes,
        "n_outputs": report.n_outputs,
        "initial": of,
        "layers": layer_lines(report),
        "first": first_matrices(report.layers[0]),
    }


def first_matrices(layer: LayerReport) -> Line:
    """Initial CNFM, CNFM and AGOP of the first layer, each with trace 1, as pictures; nothing where they are too large."""
    if layer.groups > 1 or layer.filters.shape[-1] > LARGEST:
        return {}
    found = {"initial CNFM": layer.initial_cnfm, "CNFM": layer.cnfm, "AGOP": layer.agop}
    return {name: kept(unit_trace(matrix)) for name, matrix in found.items() if matrix is not None}


def lines_by_network(lines: Sequence[Line]) -> dict[str, list[LayerLine]]:
    """The layers of every network; runs by the last names of their folders, or all of these where two have the same."""
    folders = Counter(Path(line["network"]).name for line in lines)

    def title(name: str) -> str:
        last = Path(name).name
        return name if name in PUBLISHED else f"run {last if folders[last] == 1 else name}"

    names = (title(line["network"]) for line in lines)
    return {name: read_layers(line["layers"]) for name, line in zip(names, lines, strict=True)}


def measured_on(line: Line) -> str:
    """Images and outputs, in words."""
    outputs = "all outputs" if line["probes"] is None else f"{line['probes']} probes of {line['n_outputs']} outputs"
    return f"{line['n_images']} images, {outputs}"


def measured_how(line: Line) -> str:
    """The same, and beside which initial weights."""
    return f"{measured_on(line)}; initial: {line['initial']}"
