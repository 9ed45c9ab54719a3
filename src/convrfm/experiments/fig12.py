"""Operators on photographs (Fig. 12 of the paper): ConvRFM's, learned on small images, beside trained networks' first layers.

A network's operator is the CNFM of its first convolution. How alike the maps |M x[u]| of both are is taken twice, with
pixels as each is used to them and with every patch less its mean, beside how alike |x[u]| is to the network's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..maths.intervals import above_zero, mean_with_interval, means_over
from ..maths.patches import response_lengths
from ..maths.windows import Window
from ..plots import LeadingEigenvectors, draw_eigenvectors, leading_eigenvectors, plot_feature_maps
from ..report import Section
from .edge_detectors import KERNELS, WANTED, blind_to_means, correlations, learned_metric
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .kept_pictures import kept, seen_all
from .looking_networks import LOOKED
from .photographs import bundled_photographs, photographs, scaled_for
from .published_networks import published_network
from .scale import Scale
from .scaled_images import images
from .settings import refuse_others

MAP_SIDE = 56  # pixels
PIXELS = ("as they are", "less each patch's mean")

Maps = Float[Tensor, "n _ _"]


@dataclass(frozen=True)
class OperatorsSettings:
    """Networks, training images of each data set, updates of the metric, and photographs."""

    networks: tuple[str, ...] = ("SqueezeNet 1.1", "MobileNetV2")
    data_sets: tuple[str, ...] = ("GTSRB", "CIFAR-10")
    n: int = 100
    updates: int = 2
    agop_samples: int = 30
    photographs: int = 20


def operator(run: Run[OperatorsSettings], name: str, kernel: str) -> Line:
    """How alike the maps are to each network's, the leading eigenvectors, and the maps of two photographs."""
    settings, window = run.settings, KERNELS[kernel].window
    train, _ = images(name, run.data, settings.n, run.seed)
    measured, shown = photographs(run.data, settings.photographs), bundled_photographs()
    metric = learned_metric(train, KERNELS[kernel], settings.updates, settings.agop_samples, run.device).float()
    channels = train.x.shape[1]
    leading = leading_eigenvectors(metric.numpy(), (channels, window.size, window.size))
    scaled = scaled_for(measured, channels)
    mine, plain = (two_maps(scaled, matrix, window) for matrix in (metric, torch.eye(len(metric))))
    theirs = {network: first_layer_maps(run, network, measured) for network in settings.networks}
    return {
        "eigenvectors": leading.patches.round(4).tolist(),
        "of_trace": leading.shares.tolist(),
        "maps": [kept(each, MAP_SIDE) for each in response_lengths(scaled_for(shown, channels), metric, window)],
        "photographs": [kept(each) for each in shown],
        "networks": {
            network: {
                "learned": [correlations(*met(*pair)) for pair in zip(mine, maps, strict=True)],
                "plain": [correlations(*met(*pair)) for pair in zip(plain, maps, strict=True)],
                "maps": [kept(each, MAP_SIDE) for each in first_layer_maps(run, network, shown)[0]],
            }
            for network, maps in theirs.items()
        },
    }


def first_layer_maps(run: Run[OperatorsSettings], name: str, pixels: Float[Tensor, "n 3 h w"]) -> tuple[Maps, Maps]:
    """|W^T W x[u]| of a network's first convolution at every position, for photographs from 0 to 1."""
    filters = first_filters(name, run)
    return two_maps(LOOKED[name].scale(255 * pixels), filters.T @ filters, Window(3))


def first_filters(name: str, run: Run[OperatorsSettings]) -> Float[Tensor, "k d"]:
    """W of the first convolution."""
    with torch.random.fork_rng():
        torch.manual_seed(run.seed)  # torch's initialization takes no generator
        network = published_network(LOOKED[name].subject, Path(run.data or "."), download=run.download)
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    return first.weight.detach().flatten(1)


def two_maps(images: Float[Tensor, "n c h w"], matrix: Float[Tensor, "d d"], window: Window) -> tuple[Maps, Maps]:
    """|M x[u]| with patches as they are, and less the mean of each of their channels."""
    without = blind_to_means(matrix, images.shape[1])
    return response_lengths(images, matrix, window), response_lengths(images, without, window)


def met(first: Maps, second: Maps) -> tuple[Maps, Maps]:
    """Two maps at the patches that have the same middle: the larger one less its margin."""
    rows, cols = (min(a, b) for a, b in zip(first.shape[1:], second.shape[1:], strict=True))

    def middle(each: Maps) -> Maps:
        top, left = (each.shape[1] - rows) // 2, (each.shape[2] - cols) // 2
        return each[:, top : top + rows, left : left + cols]

    return middle(first), middle(second)


def plan(run: Run[OperatorsSettings]) -> Iterator[Step]:
    """A step for every fit."""
    refuse_others("networks", run.settings.networks, LOOKED)
    for name in run.settings.data_sets:
        for kernel in KERNELS:
            yield Step({"data_set": name, "kernel": kernel}, partial(operator, run, name, kernel))


def conclude(run: Run[OperatorsSettings], lines: Sequence[Line]) -> Finding:
    """Whether learning makes the maps more like those of the networks."""
    rows, nearer = [], {pixels: list[bool | None]() for pixels in PIXELS}
    for line in lines:
        for network, found in line["networks"].items():
            for pixels, learned, plain in zip(PIXELS, found["learned"], found["plain"], strict=True):
                mine, control = 100 * np.array(learned), 100 * np.array(plain)
                nearer[pixels].append(above_zero(mine - control))
                cells = (mean_with_interval(mine), mean_with_interval(control))
                gain = mean_with_interval(mine - control, signed=True)
                rows.append([f"{line['data_set']}, {line['kernel']}", network, pixels, *cells, gain])
    told = (f"{each.count(True)} of {len(each)} with pixels {pixels}" for pixels, each in nearer.items())
    photographs = len(next(iter(lines[0]["networks"].values()))["learned"][0])
    return Finding(
        verdict=Verdict.of(each for found in nearer.values() for each in found),
        ours="maps of ConvRFM's operators are more like those of the networks' first layers than |x[u]| is, by more than the "
        f"95% interval, in {' and '.join(told)}.",
        header=("operator", "network", "patches", "M and CNFM", "|x| and CNFM", "gain"),
        rows=rows,
        caption=f"Correlation over positions, times 100, of two maps of a photograph: {means_over(photographs, 'photograph')}.",
        sections=[_eigenvectors(lines), _maps(lines)],
    )


def _eigenvectors(lines: Sequence[Line]) -> Section:
    section = Section("A. Leading eigenvectors")
    for line in lines:
        case = f"{line['data_set']}, {line['kernel']}"
        section.figure(
            draw_eigenvectors(LeadingEigenvectors(np.array(line["eigenvectors"]), np.array(line["of_trace"]))),
            caption=f"{case}: the eight leading eigenvectors of M.",
            alt="Eight little pictures of patches.",
            name=case.replace(", q = ", "-").replace(", ", "-").lower(),
        )
    return section


def _maps(lines: Sequence[Line]) -> Section:
    shown = {network: seen_all(found["maps"]) for network, found in lines[0]["networks"].items()}
    shown |= {f"{line['data_set']},\n{line['kernel'].split(',')[0]}": seen_all(line["maps"]) for line in lines}
    return Section("B. On photographs").figure(
        plot_feature_maps(seen_all(lines[0]["photographs"]), shown),
        caption="Two photographs that scikit-learn bundles, |W^T W x[u]| of the first layers of networks trained on ImageNet, "
        "and |M x[u]| of ConvRFM's operators. Pixels are scaled as each is used to them; every panel has its own scale.",
        alt="Two photographs and their maps under each operator.",
        name="photographs",
    )


EXPERIMENT = Experiment(
    name="fig12",
    title="Operators of ConvRFM beside the first layers of trained networks",
    claim="Operators that ConvRFM learns on small images pick out the same parts of large photographs as the first layers of "
    "networks trained on ImageNet: their maps are more alike than those of plain patches are.",
    published="Fig. 12 of the paper shows maps of VGG-11, AlexNet and ConvRFM trained on SVHN, GTSRB and CIFAR-10, without "
    "numbers. SqueezeNet and MobileNetV2 stand in for the networks; SVHN is left out.",
    settings={
        Scale.SMOKE: OperatorsSettings(
            ("ResNet-20 as it is drawn",), ("noisy-digits",), n=30, updates=1, photographs=2
        ),
        Scale.LAPTOP: OperatorsSettings(),
        Scale.FULL: OperatorsSettings(n=1000, updates=3, agop_samples=200, photographs=250),
    },
    minutes={Scale.SMOKE: 0.2, Scale.LAPTOP: 2, Scale.FULL: 200},
    plan=plan,
    conclude=conclude,
    data=f"{WANTED.removesuffix('.')}, and weights/.",
)
