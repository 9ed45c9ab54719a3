"""What `convrfm cnfa` does: a network and images by name, in; a folder with the report, out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..cnfa import Report, measure
from ..cnfa.saving import NUMBERS, write_text
from ..datasets import Preprocessing
from ..datasets.catalogue import is_name, read_source
from ..datasets.folders import holds_loose_pictures, read_unlabeled
from ..datasets.sources import Reading
from ..errors import InputError
from ..networks import (
    Scaling,
    fill_with_weights,
    has_random_weights,
    holds_training,
    load_network,
    load_trained,
    load_weights,
)
from ..quantities import counted
from ..report.cnfa_page import cnfa_page
from ..storage.held_folder import held
from .choices import PixelScale
from .fit_folder import check_folder
from .terminal import say_notes

IMAGENET = Scaling((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Subject(NamedTuple):
    """What is measured: a network, its initial weights if they are known, and the images that it takes."""

    network: nn.Module
    initial: Mapping[str, Tensor] | None
    channels: int
    image_size: tuple[int, int] | None
    scaling: Scaling | None


def subject_by_name(
    network: str, weights: Path | None, initial: Path | None, image_size: int | None, scale: PixelScale
) -> Subject:
    """A network by name, with weights from files where they are given, or the run of a training with all that is its own."""
    given = None if initial is None else load_weights(initial)
    if holds_training(Path(network)):
        if weights is not None:
            raise InputError(
                f"{network} is a run of convrfm train and has its weights; got {weights} too. Leave it out."
            )
        trained = load_trained(Path(network))
        channels, height, width = trained.card.image_shape
        return Subject(trained.network, given or trained.initial, channels, (height, width), trained.card.scaling)
    built = load_network(network)
    if weights is not None:
        fill_with_weights(built, weights)
    first = next((p for p in built.parameters() if p.ndim == 4), None)
    channels = 3 if first is None else first.shape[1]
    scaling = IMAGENET if scale is PixelScale.IMAGENET and channels == 3 else None
    return Subject(built, given, channels, None if image_size is None else (image_size, image_size), scaling)


def images_by_name(
    data: str, n_images: int, image_size: tuple[int, int] | None, channels: int, seed: int, *, download: bool
) -> tuple[Float[Tensor, "n c h w"], list[str]]:
    """Images from 0 to 1, drawn with the seed; of data with a test part, from that. And remarks on them.

    Args:
        data: A folder of pictures, with or without sub-folders, a `.npz`, or a name of a data set.
        n_images: How many; all if there are fewer.
        image_size: `(height, width)` to bring pictures to, or None if they have one size.
        channels: Of the network's first layer; gray pictures are repeated, colors averaged.
        seed: Of the draw.
        download: Whether torchvision may fetch data.
    """
    reading = Reading(image_size=image_size, download=download)
    if not is_name(data) and holds_loose_pictures(Path(data)):
        pictures = read_unlabeled(Path(data), reading)
    else:
        source = read_source(data, reading)
        pictures = source.train if source.test is None else source.test
    there = len(pictures.raw)
    drawn = np.sort(np.random.default_rng(seed).permutation(there)[:n_images])
    raw = [pictures.raw[i] for i in drawn]
    fewer = f"There are no more than {counted(there, 'image')}: all are measured on, in place of {n_images}."
    notes = [*pictures.notes, *([fewer] if there < n_images else [])]
    return torch.from_numpy(Preprocessing(image_size, channels, pictures.white).apply(raw)), notes


def _scale_text(scaling: Scaling | None) -> str:
    if scaling is None:
        return "from 0 to 1"
    means, deviations = (
        ", ".join(f"{value:.3g}" for value in values) for values in (scaling.means, scaling.deviations)
    )
    return f"less {means}, over {deviations}"


def random_weights_warning(network: str, weights: Path | None) -> tuple[str, ...]:
    """What to say of a network that nobody has trained; nothing if its weights are given."""
    if weights is not None or not has_random_weights(network):
        return ()
    named = (
        f"{network}@DEFAULT downloads trained ones, or give a file"
        if network.startswith("torchvision")
        else "Give a file"
    )
    return (f"{network} has random weights: nothing here was learned. {named} with --weights.",)


def run_cnfa(
    network: str,
    data: str,
    out: Path,
    *,
    weights: Path | None = None,
    initial: Path | None = None,
    layers: Sequence[str] | None = None,
    probes: int | None = None,
    positions: int | None = None,
    n_images: int = 100,
    image_size: int | None = None,
    scale: PixelScale = PixelScale.IMAGENET,
    batch_size: int = 50,
    download: bool = False,
    device: str = "auto",
    seed: int = 0,
    overwrite: bool = False,
    command: str | None = None,
    progress: bool = True,
) -> Report:
    """Measure a network and write `report.html`, `report.json`, `layers.safetensors` and `layers.csv` into a folder.

    Args:
        network: As for `networks.load_network`, or the folder of a finished `convrfm train`, which brings its weights, the
            true initial ones, and the size and scale of its images.
        data: As for `images_by_name`.
        out: Folder to write; made if it is missing.
        weights: File of trained weights; None for those that the network has.
        initial: File of its initial weights, for the controls that need them.
        layers: Names of layers; None for all.
        probes: Random-sign probes; None for all outputs exactly.
        positions: At most how many positions of each product's result, drawn at random; None for all.
        n_images: How many images.
        image_size: Height and width to bring pictures to, or None if they have one size.
        scale: Whether images of three channels lose the mean of ImageNet and are divided by its standard deviation.
        batch_size: Images at a time; fewer where memory asks for it.
        download: Whether torchvision may fetch data.
        device: Where to measure; "auto" takes a GPU where there is one.
        seed: Of every draw.
        overwrite: Whether to replace an earlier report there.
        command: Shown on the page.
        progress: Whether to show a progress bar.

    Raises:
        InputError: If anything does not fit; the message says what.
    """
    check_folder(out, overwrite=overwrite, holds_run=(out / NUMBERS).is_file())
    warnings = random_weights_warning(network, weights)
    with held(out):
        torch.manual_seed(seed)  # networks without weights draw theirs from torch's own generator
        subject = subject_by_name(network, weights, initial, image_size, scale)
        images, notes = images_by_name(data, n_images, subject.image_size, subject.channels, seed, download=download)
        say_notes(notes)
        if subject.scaling is not None:
            images = subject.scaling.apply(images)
        report = measure(
            subject.network,
            images.split(batch_size),
            initial=subject.initial,
            layers=layers,
            probes=probes,
            positions=positions,
            generator=torch.Generator().manual_seed(seed),
            device=("cuda" if torch.cuda.is_available() else None) if device == "auto" else device,
            progress=progress,
        )
        report.save(out)
        write_text(out / "layers.csv", report.to_csv())
        settings = {
            "network": network,
            "weights": weights or ("random" if warnings else "those of the network"),
            "initial weights": initial or ("not given" if subject.initial is None else "those of the run"),
            "images": f"{len(images)} of {data}, {' x '.join(map(str, images.shape[1:]))}, {_scale_text(subject.scaling)}",
            "probes": probes or "none: all outputs",
            "positions": positions or "all",
            "seed": seed,
            "torch": torch.__version__,
        }
        page = cnfa_page(report, network, command=command, settings=settings, notes=notes, warnings=warnings)
        page.write(out / "report.html")
        return report
