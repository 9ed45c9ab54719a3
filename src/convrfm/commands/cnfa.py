"""What `convrfm cnfa` does: a network and images by name, in; a folder with the report, out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..cnfa import Report, measure
from ..cnfa.saving import NUMBERS, write_text
from ..datasets import Preprocessing
from ..datasets.catalogue import is_name, read_source
from ..datasets.folders import holds_loose_pictures, read_unlabeled, size_notes
from ..datasets.preprocessing import are_of_pictures
from ..datasets.sources import Reading
from ..errors import InputError
from ..kernels.devices import chosen_device
from ..networks import (
    Scaling,
    drawn_weights,
    fill_with_weights,
    holds_training,
    load_network,
    load_trained,
    load_weights,
)
from ..networks.naming import DrawnWeights
from ..quantities import counted
from ..report.cnfa_page import cnfa_page
from ..storage.held_folder import held
from .choices import PixelScale, Unreadable
from .fit_folder import check_folder, read_values
from .terminal import say_in_red, say_notes

PAGE, TABLE = "report.html", "layers.csv"
AT_ONCE = 50  # images; fewer where memory asks for it
BATCHES, FEW = 4, 16  # as many batches at least, of so many images, so that two of them tell how long the others take
IMAGENET = Scaling((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class CnfaSettings:
    """All that decides a report of `convrfm cnfa`, named as its options are.

    A `network` that is the folder of a finished `convrfm train` brings its weights, the true initial ones, and the size and
    scale of its images.
    """

    network: str
    data: str
    weights: Path | None
    initial: Path | None
    layers: list[str] | None
    probes: int | None
    positions: int | None
    n_images: int
    image_size: int | None
    scale: PixelScale
    unreadable: Unreadable
    download: bool
    seed: int
    device: str


class Subject(NamedTuple):
    """What is measured: a network, its initial weights if they are known, its images, how random its weights are, and on what
    it was trained if that is known.
    """

    network: nn.Module
    initial: Mapping[str, Tensor] | None
    channels: int
    image_size: tuple[int, int] | None
    scaling: Scaling | None
    drawn: DrawnWeights = DrawnWeights(0, 0)
    trained_on: str = ""


def subject_of(settings: CnfaSettings) -> Subject:
    """A network by name, with weights from files where they are given, or the run of a training with all that is its own."""
    network, weights = settings.network, settings.weights
    if holds_training(Path(network)):
        if weights is not None:
            raise InputError(
                f"{network} is a run of convrfm train and has its weights; got {weights} too. Leave it out."
            )
        trained = load_trained(Path(network))
        channels, height, width = trained.card.image_shape
        return Subject(
            network=trained.network,
            initial=_initial(settings, trained.network) or trained.initial,
            channels=channels,
            image_size=(height, width),
            scaling=trained.card.scaling,
            trained_on=trained.card.data,
        )
    built = load_network(network)
    if weights is not None:
        fill_with_weights(built, weights)
    channels = _channels(built)
    size = None if settings.image_size is None else (settings.image_size, settings.image_size)
    scaling = IMAGENET if settings.scale is PixelScale.IMAGENET and channels == 3 else None
    drawn = drawn_weights(built, network) if weights is None else DrawnWeights(0, 0)
    return Subject(built, _initial(settings, built), channels, size, scaling, drawn)


def _channels(network: nn.Module) -> int:
    """Of the images that a network takes, by its first convolution: a weight alone may be a factor, or that of one group."""
    convolutions = (module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d))
    if found := next((module.in_channels for module in convolutions if module.in_channels), None):
        return found
    weight = next((p for p in network.parameters() if not is_lazy(p) and p.ndim == 4), None)
    return 3 if weight is None else weight.shape[1]


def _initial(settings: CnfaSettings, network: nn.Module) -> Mapping[str, Tensor] | None:
    return None if settings.initial is None else load_weights(settings.initial, network)


def images_of(settings: CnfaSettings, subject: Subject) -> tuple[Float[Tensor, "n c h w"], list[str]]:
    """Images from 0 to 1 (float arrays as they are), drawn with the seed; of data with a test part, from that. And remarks.

    Gray pictures are repeated for the channels of the network, colors become their brightness.

    Raises:
        InputError: If they cannot be read.
    """
    reading = Reading(image_size=subject.image_size, unreadable=settings.unreadable.value, download=settings.download)
    data, n_images = settings.data, settings.n_images
    tested = False
    if not is_name(data) and holds_loose_pictures(Path(data)):
        pictures = read_unlabeled(Path(data), reading)
    else:
        source = read_source(data, reading)
        tested = source.test is not None
        pictures = source.for_testing
    there = len(pictures.raw)
    drawn = np.sort(np.random.default_rng(settings.seed).permutation(there)[:n_images])
    raw = [pictures.raw[i] for i in drawn]
    fewer = f"There are no more than {counted(there, 'image')}: all are measured on, in place of {n_images}."
    part = [f"Measured on images of the test part of {data}, which has {there}."] if tested else []
    cropped = size_notes(data, [picture.shape for picture in pictures.raw], subject.image_size)
    converted = _conversion_notes([len(picture) for picture in raw], subject.channels)
    preprocessing = Preprocessing(subject.image_size, subject.channels, pictures.white)
    images = preprocessing.made_of(raw)
    found = [*pictures.notes, *cropped, *converted, *preprocessing.dark_note(images)]
    return torch.from_numpy(images), [*found, *part, *([fewer] if there < n_images else [])]


def _conversion_notes(present: Sequence[int], channels: int) -> list[str]:
    """What to say of images with other channels than the network takes."""
    if not (others := sum(each != channels for each in present)):
        return []
    said = "Colors became their brightness" if channels == 1 else f"Gray was repeated for {channels} channels"
    return [f"{said} in {counted(others, 'image')}, as the network takes {counted(channels, 'channel')}."]


def range_warning(settings: CnfaSettings, subject: Subject, least: float, most: float) -> str:
    """What to say of images that are not from 0 to 1 where nothing tells that they are meant so; of others nothing.

    Raises:
        InputError: If they are to be scaled as ImageNet's: that mean and that deviation are not theirs.
    """
    meant = settings.scale is PixelScale.NONE or settings.data == subject.trained_on
    if meant or are_of_pictures(least, most):
        return ""
    found = f"values from {least:g} to {most:g}"
    remedy = "store bytes as uint8, or divide the values by that of white"
    if subject.scaling is IMAGENET:
        raise InputError(
            f"images of {settings.data} must be from 0 to 1 for --scale imagenet; got {found}. {remedy.capitalize()}; where "
            "they are scaled for the network already, pass --scale none."
        )
    otherwise = "" if subject.trained_on else "; if it takes these, pass --scale none"
    return f"Images of {settings.data} have {found}. If the network takes images from 0 to 1, {remedy}{otherwise}."


def _scale_text(scaling: Scaling | None) -> str:
    if scaling is None:
        return ""
    means, deviations = (
        ", ".join(f"{value:.3g}" for value in values) for values in (scaling.means, scaling.deviations)
    )
    return f", less {means}, over {deviations}"


def random_weights_warning(network: str, weights: DrawnWeights) -> str:
    """What to say of a network of which weights were drawn, or whose factory seeds torch; else nothing."""
    drawn, of, seeded = weights
    if seeded and drawn < of:
        return (
            f"{network} seeds torch itself, so that random weights are the same each time: whether its weights were learned "
            "cannot be told. Give those that were in a file with --weights."
        )
    if not drawn:
        return ""
    if drawn < of:
        return (
            f"{drawn} of {counted(of, 'weight')} of {network} are random: what these layers show was not learned. Where they "
            "should be trained, give a file with --weights."
        )
    named = (
        f"{network}@DEFAULT downloads trained ones, or give a file"
        if network.startswith("torchvision")
        else "Give a file"
    )
    return f"{network} has random weights: nothing here was learned. {named} with --weights."


def run_cnfa(settings: CnfaSettings, out: Path, *, overwrite: bool, quiet: bool, command: str) -> Report:
    """Measure a network and write `report.html`, `report.json`, `layers.safetensors` and `layers.csv` into a folder.

    Args:
        settings: What decides the report.
        out: Folder to write; made if it is missing.
        overwrite: Whether to replace an earlier report there.
        quiet: Whether to leave out the progress bar.
        command: Shown on the page.

    Raises:
        InputError: If anything does not fit; the message says what.
    """
    device = chosen_device(settings.device)
    check_folder(out, overwrite=overwrite, holds_run="layers" in read_values(out / NUMBERS))
    with held(out):
        torch.manual_seed(settings.seed)  # networks without weights draw theirs from torch's own generator
        subject = subject_of(settings)
        images, notes = images_of(settings, subject)
        least, most = images.min().item(), images.max().item()
        random = random_weights_warning(settings.network, subject.drawn)
        warnings = [*filter(None, (random, range_warning(settings, subject, least, most)))]
        for warning in warnings:
            say_in_red(warning)
        say_notes(notes)
        if subject.scaling is not None:
            images = subject.scaling.apply(images)
        report = measure(
            subject.network,
            images.tensor_split(max(math.ceil(len(images) / AT_ONCE), min(BATCHES, math.ceil(len(images) / FEW)))),
            initial=subject.initial,
            layers=None if settings.layers is None else [name.strip() for name in ",".join(settings.layers).split(",")],
            probes=settings.probes,
            positions=settings.positions,
            generator=torch.Generator().manual_seed(settings.seed),
            device=device,
            progress=not quiet,
        )
        for name in (PAGE, TABLE):  # of an earlier report, beside whose numbers a killed run would leave others
            (out / name).unlink(missing_ok=True)
        report.save(out)
        write_text(out / TABLE, report.to_csv())
        told = {
            "network": settings.network,
            "weights": settings.weights
            or f"{'random' if subject.drawn.drawn else 'those of the network'}{' (see the warning)' * bool(random)}",
            "initial weights": settings.initial or ("not given" if subject.initial is None else "those of the run"),
            "images": f"{len(images)} of {settings.data}, {' x '.join(map(str, images.shape[1:]))}, "
            f"values from {least:g} to {most:g}{_scale_text(subject.scaling)}",
            "probes": settings.probes or "none: all outputs",
            "positions": settings.positions or "all",
            "seed": settings.seed,
            "torch": torch.__version__,
        }
        page = cnfa_page(report, settings.network, command=command, settings=told, notes=notes, warnings=warnings)
        page.write(out / PAGE)
        return report
