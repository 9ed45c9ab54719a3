"""Shallow networks (Fig. 9 of the paper): the ansatz by pooling and patch size, at initialization and after training.

Cosines, as in the paper; every seed has images, weights and an order of its own. Trends are differences within a data set,
means over seeds and layers first, and their intervals are over data sets.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
import torch
from jaxtyping import Float

from ..cnfa import measure
from ..datasets import ImageData
from ..kernels.devices import chosen_device
from ..maths.intervals import above_zero, mean_with_interval, means_over, with_intervals
from ..networks import PROTOCOLS, Design, train
from ..plots.panels import plot_layer_panels
from ..report import Section
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .scale import Scale
from .training_images import WANTED, Draw, RealImages, as_parts, drawn_images

POOLINGS: Mapping[str, str] = {"none": "cnn-vec", "max": "max-pooled", "average": "average-pooled"}
SAID = {True: "confirmed", False: "refuted", None: "not decided"}
WHEN: Mapping[str, str] = {"trained": "after training", "initial": "at initialization"}


@dataclass(frozen=True)
class Fig9Settings:
    """Networks, images of every seed (a tenth of them held out), their size, the training, and images to measure on."""

    data_sets: tuple[str, ...]
    patch_sizes: tuple[int, ...] = (3, 5, 7)
    seeds: int = 3
    width: int = 64
    n_train: int = 1250
    n_test: int = 2000
    size: int | None = 32
    epochs: int = 500
    batch_size: int = 128
    learning_rate: float = 2e-4
    n_measured: int = 100


def plan(run: Run[Fig9Settings]) -> Iterator[Step]:
    """A step for every network."""
    settings = run.settings
    for name in settings.data_sets:
        for number in range(settings.seeds):
            for pooling in POOLINGS:
                for q in settings.patch_sizes:
                    at = {"data_set": name, "seed": run.seed + number, "pooling": pooling, "patch_size": q}
                    yield Step(at, partial(cosines, run, name, number, pooling, q))


@lru_cache(maxsize=1)
def all_images(run: Run[Fig9Settings], name: str) -> ImageData:
    """The images of all seeds, drawn once in a process."""
    settings = run.settings
    size = None if settings.size is None else (settings.size, settings.size)
    draw = Draw(settings.n_train * settings.seeds, settings.n_test, size)
    return drawn_images(name, run.data, draw, seed=run.seed, download=run.download)


def cosines(run: Run[Fig9Settings], name: str, number: int, pooling: str, q: int) -> Line:
    """Train one network, and measure every convolution before and after."""
    settings, seed = run.settings, run.seed + number
    images = own_images(all_images(run, name), number, settings.n_train)
    design = Design(POOLINGS[pooling], width=settings.width, patch_size=q)
    network = design.build(images.image_shape, images.n_classes, seed).to(chosen_device(run.device))
    initial = {weight: value.clone() for weight, value in network.state_dict().items()}
    protocol = replace(
        PROTOCOLS["fig9"],
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
    )
    told = train(network, images.parts, protocol, seed=seed)
    report = measure(
        network,
        images.parts.train.x[: settings.n_measured],
        initial=initial,
        generator=torch.Generator().manual_seed(seed),
        rotations=0,
        resamples=0,
        half_power=False,
    )
    found = [layer.correlations for layer in report.layers if not layer.final]
    return {
        "trained": [layer.trained.cosine.value for layer in found],
        "initial": [layer.initial.cosine.value for layer in found if layer.initial is not None],
        "train_loss": told.epochs[-1].train_loss,
        "epoch": told.kept.epoch,
        "test_accuracy": told.kept.test_accuracy,
    }


def own_images(data: ImageData, number: int, n: int) -> RealImages:
    """The images of one seed: those of others have no part in them."""
    own = slice(number * n, (number + 1) * n)
    names = data.names_train[own]
    return as_parts(replace(data, x_train=data.x_train[own], y_train=data.y_train[own], names_train=names))


Values = Mapping[tuple[str, int], Float[np.ndarray, "data_sets layers"]]


def means_by_data_set(settings: Fig9Settings, lines: Sequence[Line], when: str) -> Values:
    """Cosines by pooling and patch size: a row for each data set, mean over seeds, a column for each layer."""
    return {
        (pooling, q): np.array(
            [
                np.mean(
                    [line[when] for line in lines if (line["data_set"], line["pooling"], line["patch_size"]) == at], 0
                )
                for at in ((name, pooling, q) for name in settings.data_sets)
            ]
        )
        for pooling in POOLINGS
        for q in settings.patch_sizes
    }


def trends(settings: Fig9Settings, values: Values) -> dict[str, Float[np.ndarray, " data_sets"]]:
    """What the paper says falls or rises, as differences that should be positive, one for each data set."""
    small, large = min(settings.patch_sizes), max(settings.patch_sizes)
    mean = {at: of.mean(1) for at, of in values.items()}
    pooled = {pooling: np.mean([mean[pooling, q] for q in settings.patch_sizes], 0) for pooling in POOLINGS}
    falls = {f"q = {small} less q = {large}, {name}": mean[name, small] - mean[name, large] for name in POOLINGS}
    rises = {f"max less {name}": pooled["max"] - pooled[name] for name in ("none", "average")}
    return {name.replace("none", "no pooling"): values for name, values in (falls | rises).items()}


def conclude(run: Run[Fig9Settings], lines: Sequence[Line]) -> Finding:
    """The two trends after training, with intervals over data sets; beside them the same at initialization."""
    settings = run.settings
    found = {when: means_by_data_set(settings, lines, when) for when in WHEN}
    after, before = (trends(settings, found[when]) for when in WHEN)
    rows, holds = [], list[bool | None]()
    for name, differences in after.items():
        holds.append(above_zero(differences))
        rows.append(
            [
                name,
                mean_with_interval(differences, signed=True, decimals=3),
                SAID[holds[-1]],
                f"{sum(differences > 0)} of {len(differences)}",
                mean_with_interval(before[name], signed=True, decimals=3),
            ]
        )
    panels = {
        WHEN[when]: {
            f"{pooling} pooling" if pooling != "none" else "no pooling": {
                f"q = {q}": values[pooling, q].T for q in settings.patch_sizes
            }
            for pooling in POOLINGS
        }
        for when, values in found.items()
    }
    section = (
        Section("Layer by layer")
        .figure(
            plot_layer_panels(panels, "cosine"),
            caption=f"Cosine of CNFM and AGOP by layer: {means_over(len(settings.data_sets), 'data set')}.",
            alt="Six panels: after training and at initialization, for three kinds of pooling; a line for each patch size.",
            name="panels",
        )
        .table(*accuracy_table(settings, lines))
    )
    of_size = "" if settings.size is None else f" of {settings.size} pixels"
    return Finding(
        verdict=Verdict.of(holds),
        ours="; ".join(f"{name}: {difference}, {said}" for name, difference, said, *_ in rows) + ".",
        header=(
            "difference of cosines",
            "after training",
            "the trend is",
            "data sets where positive",
            "at initialization",
        ),
        rows=rows,
        caption=f"Means over {len(settings.data_sets)} data sets{with_intervals(len(settings.data_sets))}, of means over "
        f"{settings.seeds} seeds and all layers (in the last two rows over patch sizes too). Confirmed: the interval is above "
        f"0; refuted: below. {settings.n_train} images{of_size} a seed, width {settings.width}, "
        f"{settings.epochs} epochs; the paper's are of 32 pixels, 64 and 500.",
        sections=[section],
        numbers={"differences": {name: values.tolist() for name, values in after.items()}},
    )


def accuracy_table(settings: Fig9Settings, lines: Sequence[Line]) -> tuple[tuple[str, ...], list[list[str]], str]:
    """Test accuracies by data set and pooling: whether anything was learned."""
    rows = []
    for name in settings.data_sets:
        mine = [line for line in lines if line["data_set"] == name]
        cells = [
            [100 * line["test_accuracy"] for line in mine if (line["pooling"], line["patch_size"]) == (pooling, q)]
            for pooling in POOLINGS
            for q in settings.patch_sizes
        ]
        rows.append([name, *(f"{np.mean(cell):.0f}" for cell in cells)])
    header = ("data set", *(f"{pooling}, q = {q}" for pooling in POOLINGS for q in settings.patch_sizes))
    caption = (
        "Test accuracy in per cent, of the epoch that is best on held-out images; means over seeds. Where it is near that of "
        "guessing, little was learned."
    )
    return header, rows, caption


EXPERIMENT = Experiment(
    name="fig9",
    title="The ansatz by pooling and patch size",
    claim="In shallow networks larger patches lower the cosine of CNFM and AGOP, and max pooling raises it above that of "
    "average pooling and of no pooling.",
    published="larger patches slightly reduce the correlation, max pooling leads to a higher one; averages over ten data sets "
    "(Fig. 9).",
    settings={
        Scale.SMOKE: Fig9Settings(
            ("bars", "noisy-digits"), (3, 5), 2, width=4, n_train=30, n_test=20, size=None, epochs=2, n_measured=5
        ),
        Scale.LAPTOP: Fig9Settings(
            ("CIFAR-10", "GTSRB", "MNIST", "USPS", "PneumoniaMNIST"),
            width=16,
            n_train=500,
            n_test=500,
            size=16,
            epochs=12,
            batch_size=32,
            learning_rate=1e-3,
            n_measured=30,
        ),
        Scale.FULL: Fig9Settings(("CIFAR-10", "GTSRB", "SVHN", "STL-10", "EMNIST", "QMNIST", "DTD", "PCAM")),
    },
    minutes={Scale.SMOKE: 0.3, Scale.LAPTOP: 25, Scale.FULL: 13000},
    plan=plan,
    conclude=conclude,
    data=WANTED,
)
