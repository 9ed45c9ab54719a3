"""The ansatz in networks with published weights, on real images: every layer beside its controls.

ResNet-20 and ResNet-32 (CIFAR-10) with all outputs; SqueezeNet 1.1 and the features of MobileNetV2 (ImageNet) with 16
random-sign probes. The true initial weights of these networks were not published: "initial" is a fresh network of the
same architecture.

    python -m convrfm.experiments.cnfa_table --data DATA --out docs/cnfa_table.md
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..cnfa import LayerReport, Report, measure
from ..cnfa.target import Head
from ..datasets.pictures import read_picture
from ..networks import load_network, load_weights
from ..storage.atomic import written_whole

IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)
CAFFE_MEAN = torch.tensor([104.0, 117.0, 123.0]).reshape(3, 1, 1)


def cifar_images(data: Path, n: int) -> Float[Tensor, "n 3 32 32"]:
    """The first test images of CIFAR-10, from an atlas of 50 rows of 40 tiles, scaled as ImageNet."""
    atlas = read_picture(data / "cifar10" / "test_00.png")
    tiles = atlas.reshape(3, 50, 32, 40, 32).transpose(1, 3, 0, 2, 4).reshape(-1, 3, 32, 32)
    return (torch.from_numpy(np.ascontiguousarray(tiles[:n])).float() / 255 - IMAGENET_MEAN) / IMAGENET_STD


def photos(data: Path, n: int) -> Float[Tensor, "n 3 224 224"]:
    """Photographs spread evenly over the classes, RGB from 0 to 255."""
    files = sorted((data / "imagenet_photos").glob("*.jpg"))
    chosen = [files[i * len(files) // n] for i in range(n)]
    return torch.from_numpy(np.stack([np.broadcast_to(read_picture(file), (3, 224, 224)) for file in chosen])).float()


def photos_as_imagenet(data: Path, n: int) -> Float[Tensor, "n 3 224 224"]:
    """Photographs scaled by the mean and standard deviation of ImageNet."""
    return (photos(data, n) / 255 - IMAGENET_MEAN) / IMAGENET_STD


def photos_as_caffe(data: Path, n: int) -> Float[Tensor, "n 3 224 224"]:
    """Photographs as Caffe's networks take them: BGR from 0 to 255, less the mean."""
    return photos(data, n).flip(1) - CAFFE_MEAN


@dataclass(frozen=True)
class Subject:
    """A network with published weights, and what to measure it on."""

    title: str
    network: str
    weights: str
    images: Callable[[Path, int], Tensor]
    n_images: int
    probes: int | None
    head: Head | None = None
    part: str | None = None


def pooled(features: Tensor) -> Tensor:
    """Global average pooling: one output per channel."""
    return features.mean((2, 3))


SUBJECTS = (
    Subject("ResNet-20, CIFAR-10", "convrfm.networks:resnet20", "cifar10_resnet20", cifar_images, 200, None),
    Subject("ResNet-32, CIFAR-10", "convrfm.networks:resnet32", "cifar10_resnet32", cifar_images, 200, None),
    Subject("SqueezeNet 1.1, ImageNet", "torchvision:squeezenet1_1", "squeezenet1_1", photos_as_caffe, 50, 16),
    Subject(
        "MobileNetV2 features, ImageNet",
        "torchvision:mobilenet_v2",
        "mobilenet_v2_features",
        photos_as_imagenet,
        50,
        16,
        head=pooled,
        part="features",
    ),
)


def measured(subject: Subject, data: Path, seed: int, progress: bool = False) -> Report:
    """Measure one network beside a fresh one."""
    torch.manual_seed(seed)  # torchvision's and torch's initialization take no generator
    fresh, trained = (_part(load_network(subject.network), subject.part) for _ in range(2))
    weights = load_weights(data / "weights" / f"{subject.weights}.safetensors")
    prefix = "" if subject.part is None else f"{subject.part}."
    trained.load_state_dict({key.removeprefix(prefix): value for key, value in weights.items()})
    return measure(
        trained,
        subject.images(data, subject.n_images).split(10),
        initial=fresh,
        probes=subject.probes,
        head=subject.head,
        generator=torch.Generator().manual_seed(seed),
        progress=progress,
    )


def _part(network: nn.Module, part: str | None) -> nn.Module:
    return network if part is None else network.get_submodule(part)


COLUMNS = (
    "layer",
    "d",
    "rows",
    "groups",
    "cosine [95 %]",
    "Pearson",
    "rotated",
    "excess",
    "Pearson, power 1/2",
    "rotated, power 1/2",
    "fresh network",
    "fresh CNFM vs trained",
    "rank of G / rows",
)


def table(report: Report) -> str:
    """One line per layer that counts."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    for layer in counted(report):
        trained, rotated = layer.correlations.trained, layer.correlations.rotated
        initial, moved = layer.correlations.initial, layer.correlations.initial_cnfm
        assert rotated is not None and initial is not None and moved is not None
        assert trained.pearson_half is not None and rotated.pearson_half is not None
        low, high = trained.cosine.interval or (float("nan"), float("nan"))
        cells = (
            layer.name,
            f"{layer.filters.shape[2]}",
            f"{layer.filters.shape[1]}",
            f"{layer.groups}",
            f"{trained.cosine.value:.3f} [{low:.3f}, {high:.3f}]",
            f"{trained.pearson.value:.3f}",
            f"{rotated.pearson.value:.3f} ± {rotated.pearson.standard_error:.3f}",
            f"{excess(layer):+.1f}",
            f"{trained.pearson_half.value:.3f}",
            f"{rotated.pearson_half.value:.3f} ± {rotated.pearson_half.standard_error:.3f}",
            f"{initial.pearson.value:.3f}",
            f"{moved.pearson.value:.3f}",
            f"{layer.effective_ranks['delta'] / (layer.filters.shape[1] * layer.groups):.2f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def counted(report: Report) -> list[LayerReport]:
    """The layers whose correlation is not 1 by construction."""
    return [layer for layer in report.layers if not layer.final]


def excess(layer: LayerReport) -> float:
    """Pearson correlation less that of the rotation control, in standard deviations of the control.

    Both are taken with the same G: where it is probed, before the correlation is corrected for that.
    """
    trained, rotated = layer.correlations.trained.pearson, layer.correlations.rotated
    assert rotated is not None
    plain = trained.value + (trained.bias or 0.0)
    return (plain - rotated.pearson.value) / (rotated.pearson.standard_error or float("nan"))


def summary(report: Report) -> str:
    """Medians over layers, in a sentence."""
    layers = counted(report)
    trained = median(layer.correlations.trained.pearson.value for layer in layers)
    rotated = median(layer.correlations.rotated.pearson.value for layer in layers if layer.correlations.rotated)
    fresh = median(layer.correlations.initial.pearson.value for layer in layers if layer.correlations.initial)
    halves = [(layer.correlations.trained.pearson_half, layer.correlations.rotated) for layer in layers]
    half = median(estimate.value for estimate, _ in halves if estimate)
    rotated_half = median(control.pearson_half.value for _, control in halves if control and control.pearson_half)
    above = sum(excess(layer) > 2 for layer in layers)
    below = sum(excess(layer) < -2 for layer in layers)
    high = sum(layer.correlations.trained.pearson.value > 0.9 for layer in layers)
    return (
        f"{len(layers)} layers: median Pearson correlation {trained:.3f}, of the rotation control {rotated:.3f}, of a "
        f"fresh network {fresh:.3f}; with the AGOP to the power 1/2 {half:.3f}, of its control {rotated_half:.3f}. "
        f"{high} layers are above 0.9. {above} exceed their control by more than two of its standard deviations, "
        f"{below} fall below it by more than two."
    )


def page(reports: dict[Subject, Report], seed: int) -> str:
    """The whole document."""
    sections = [
        "# The ansatz in networks with published weights",
        "Written by `python -m convrfm.experiments.cnfa_table --data DATA --out docs/cnfa_table.md`"
        f" (seed {seed}). What the columns mean, and what the numbers say, is in [cnfa.md](cnfa.md).",
    ]
    for subject, report in reports.items():
        how = "all outputs" if report.probes is None else f"{report.probes} probes of {report.n_outputs} outputs"
        sections += [f"## {subject.title}: {report.n_images} images, {how}", summary(report), table(report)]
    return "\n\n".join(sections) + "\n"


def main() -> None:
    """Measure every network, write the document, and save the reports if asked to."""
    parser = argparse.ArgumentParser(description="The ansatz in networks with published weights")
    parser.add_argument("--data", type=Path, required=True, help="folder with weights/, cifar10/ and imagenet_photos/")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--reports", type=Path, help="folder to save the four reports in")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    reports = {subject: measured(subject, arguments.data, arguments.seed, progress=True) for subject in SUBJECTS}
    with written_whole(arguments.out) as unfinished:
        unfinished.write_text(page(reports, arguments.seed), encoding="utf-8")
    if arguments.reports is not None:
        for subject, report in reports.items():
            report.save(arguments.reports / subject.weights)


if __name__ == "__main__":
    main()
