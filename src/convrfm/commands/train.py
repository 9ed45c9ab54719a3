"""What `convrfm train` does: a network of the paper, trained on images by name, in a folder that `convrfm cnfa` takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import datasets
from ..cnfa import Tracker
from ..cnfa.report import layer_row, without_nan
from ..errors import InputError
from ..experiments.training_images import RealImages, as_parts
from ..kernels.devices import chosen_device
from ..maths.intervals import wilson_interval
from ..networks import (
    PROTOCOLS,
    Design,
    Epoch,
    NetworkCard,
    Trained,
    TrainingProtocol,
    holds_training,
    train,
    write_card,
)
from ..networks.trained import CARD
from ..plots import plot_training
from ..quantities import counted
from ..report import Page, Section
from ..report.fit_sections import reproduction_section
from ..report.versions import versions
from ..storage.atomic import write_json
from ..storage.held_folder import held
from .choices import Unreadable
from .fit_folder import check_folder, check_same_run, read_values
from .terminal import remark, say_notes

RESULT = "training.json"
MACHINE = ("device", "download")  # what may change while a training goes on
CONTROLS = ("trained", "rotated", "initial", "initial_cnfm")
FILES = {
    "report.html": "this page",
    "weights.safetensors": "the weights that were kept: convrfm cnfa takes this folder",
    "initial.safetensors": "the weights that training began with",
    "track.jsonl": "the correlation in every layer along training, a line for each measurement",
    RESULT: "every layer with the weights that were kept, every epoch, and all settings",
    "checkpoint.safetensors": "from which the same command goes on",
    CARD: "what the network is",  # removed last: it tells that there is a training
}


@dataclass(frozen=True)
class TrainSettings:
    """All that decides a run of `convrfm train`, named as its options are; None leaves a value as the protocol has it."""

    network: str
    data: str
    protocol: str
    width: int | None
    depth: int | None
    patch_size: int | None
    epochs: int | None
    learning_rate: float | None
    batch_size: int | None
    patience: int | None
    n_train: int | None
    n_test: int | None
    image_size: int | None
    unreadable: Unreadable
    every: int
    n_images: int
    download: bool
    seed: int
    device: str

    @property
    def design(self) -> Design:
        """The network."""
        return Design(self.network, width=self.width, depth=self.depth, patch_size=self.patch_size)

    @property
    def training(self) -> TrainingProtocol:
        """The protocol with what was changed."""
        if self.protocol not in PROTOCOLS:
            raise InputError(f"protocol must be one of {', '.join(PROTOCOLS)}; got {self.protocol}.")
        names = ("epochs", "learning_rate", "batch_size", "patience")
        changes: dict[str, Any] = {name: value for name in names if (value := getattr(self, name)) is not None}
        return replace(PROTOCOLS[self.protocol], **changes)


def run_training(settings: TrainSettings, out: Path, *, overwrite: bool, quiet: bool, command: str) -> str:
    """Train, or go on where the same command was interrupted; write the folder, and say how well it went.

    Raises:
        InputError: If anything does not fit; the message says what.
    """
    design, protocol = settings.design, settings.training
    device = chosen_device(settings.device)
    plain = asdict(settings)
    if overwrite or not holds_training(out):
        check_folder(out, overwrite=overwrite, holds_run="design" in read_values(out / CARD))
    else:
        there, now = read_values(out / RESULT).get("settings"), plain.items()
        if isinstance(there, dict):
            check_same_run(out, "a training", there, {name: value for name, value in now if name not in MACHINE})
    with held(out):
        images = _images(settings)
        network = design.build(images.image_shape, images.n_classes, settings.seed).to(device)
        if overwrite:
            for name in FILES:
                (out / name).unlink(missing_ok=True)
        write_card(out, NetworkCard(design, images.image_shape, images.n_classes, images.scaling, settings.data))
        write_json(out / RESULT, {"settings": plain})
        shown = images.parts.train.x[: settings.n_images].to(device)
        tracker = Tracker(network, shown, settings.every, out, seed=settings.seed)
        tell: Callable[[Epoch], None] = (lambda _: None) if quiet else _tell_epoch
        found = train(network, images.parts, protocol, seed=settings.seed, folder=out, watch=tracker.update, tell=tell)
        epochs = [asdict(epoch) for epoch in found.epochs]
        layers = [without_nan(layer_row(layer)) for layer in tracker.measured().layers if not layer.final]
        write_json(out / RESULT, {"kept": found.kept.epoch, "layers": layers, "epochs": epochs, "settings": plain})
        page = training_page(settings, images, found, tracker, layers, command)
        page.write(out / "report.html")
        return accuracy_sentence(found, images)


def accuracy_sentence(found: Trained, images: RealImages) -> str:
    """The accuracy of the kept epoch with its interval, and what the best epoch by test images would have been."""
    accuracy, test = found.kept.test_accuracy, images.parts.test
    assert accuracy is not None and found.best_test_accuracy is not None and test is not None
    low, high = wilson_interval(round(accuracy * len(test.y)), len(test.y))
    return (
        f"test accuracy {accuracy:.1%} ({100 * low:.1f} to {100 * high:.1f}) after epoch {found.kept.epoch} of "
        f"{len(found.epochs)}, the best by held-out images; the best epoch by test images, as the paper reports, has "
        f"{found.best_test_accuracy:.1%}."
    )


def _images(settings: TrainSettings) -> RealImages:
    data = datasets.load(
        settings.data,
        n_train=settings.n_train,
        n_test=settings.n_test,
        seed=settings.seed,
        image_size=None if settings.image_size is None else (settings.image_size, settings.image_size),
        unreadable=settings.unreadable.value,
        download=settings.download,
        validation="train",
    )
    say_notes(data.notes)
    return as_parts(data)


def training_page(
    settings: TrainSettings,
    images: RealImages,
    found: Trained,
    tracker: Tracker,
    layers: Sequence[Mapping[str, Any]],
    command: str,
) -> Page:
    """What the folder shows of its training; the rows of layers are those of the weights that were kept."""
    sizes = [len(part.y) for part in images.parts if part is not None]
    curves = {
        "held-out images": np.array([epoch.held_out_accuracy for epoch in found.epochs]),
        "test images": np.array([epoch.test_accuracy for epoch in found.epochs]),
    }
    measured = [[row for row in record["layers"] if not row["final"]] for record in tracker.records]
    steps = [record["step"] for record in tracker.records]
    correlations = np.array([[row["trained_pearson"] for row in rows] for rows in measured], dtype=float)
    return Page(
        f"{settings.network} on {settings.data}",
        "{} images to train, {} to stop on, {} to test".format(*sizes),
        [
            Section("In short").lead(accuracy_sentence(found, images).capitalize()),
            Section("Along training").figure(
                plot_training(
                    curves, steps, correlations, kept=found.kept.epoch, quantity="correlation of CNFM and AGOP"
                ),
                "Accuracies, and the Pearson correlation of CNFM and AGOP in every layer; the dotted epoch is kept.",
                f"Curves along {counted(len(found.epochs), 'epoch')}.",
            ),
            Section("Layers").table(
                ("layer", "CNFM and AGOP", "rotated", "initial network", "initial and trained CNFM"),
                [[row["name"], *(_told(row.get(f"{name}_pearson")) for name in CONTROLS)] for row in layers],
                f"Pearson correlations of the weights that were kept, those after epoch {found.kept.epoch}, on "
                f"{min(settings.n_images, sizes[0])} training images.",
            ),
            reproduction_section(command, asdict(settings), versions(), FILES),
        ],
    )


def _told(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f}"


def _tell_epoch(epoch: Epoch) -> None:
    held_out = "" if epoch.held_out_accuracy is None else f", held-out accuracy {epoch.held_out_accuracy:.1%}"
    remark(f"epoch {epoch.epoch}: loss {epoch.train_loss:.4f}{held_out}, {epoch.seconds:.1f} s")
