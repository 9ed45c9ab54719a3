"""Networks with published weights on real images, as they are measured.

ResNet-20 and ResNet-32 (CIFAR-10) with all outputs; SqueezeNet 1.1 and the features of MobileNetV2 (ImageNet) with 16
random-sign probes. Their true initial weights were not published: "initial" is a fresh network of the same architecture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..cnfa import Report, measure
from ..cnfa.target import Head
from ..datasets.atlases import tiles_of
from ..datasets.pictures import read_picture, resize
from ..errors import InputError
from ..kernels.devices import chosen_device
from ..networks import load_network, load_weights
from ..networks.weights import fill
from .experiment import Run

SIDE = 224  # of photographs
IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)
CAFFE_MEAN = torch.tensor([104.0, 117.0, 123.0]).reshape(3, 1, 1)


def cifar_images(data: Path, n: int) -> Float[Tensor, "n 3 32 32"]:
    """The first test images of CIFAR-10, scaled as ImageNet."""
    tiles = tiles_of(data / "cifar10" / "test_00.png")
    if tiles.shape[1:] != (3, 32, 32):
        raise InputError(f"tiles of CIFAR-10's atlases must be 32 x 32 in color; got {tiles.shape[1:]}.")
    return as_imagenet(torch.from_numpy(tiles[:n]).float())


def photos(data: Path, n: int) -> Float[Tensor, "n 3 224 224"]:
    """Photographs spread evenly over the classes, RGB from 0 to 255; of other sizes the largest square in the middle.

    Raises:
        InputError: If there are fewer than n: some would count twice.
    """
    files = sorted((data / "imagenet_photos").glob("*.jpg"))
    if n > len(files):
        raise InputError(f"there must be {n} photographs (*.jpg) in {data / 'imagenet_photos'}; found {len(files)}.")
    chosen = [files[i * len(files) // n] for i in range(n)]
    pictures = [np.broadcast_to(resize(read_picture(file), (SIDE, SIDE)), (3, SIDE, SIDE)) for file in chosen]
    return torch.from_numpy(np.stack(pictures)).float()


def photos_as_imagenet(data: Path, n: int) -> Float[Tensor, "n 3 224 224"]:
    """Photographs scaled by the mean and standard deviation of ImageNet."""
    return as_imagenet(photos(data, n))


def as_imagenet(pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """RGB from 0 to 255 scaled by the mean and standard deviation of ImageNet."""
    return (pixels / 255 - IMAGENET_MEAN) / IMAGENET_STD


def photos_as_caffe(data: Path, n: int) -> Float[Tensor, "n 3 224 224"]:
    """Photographs as Caffe's networks take them."""
    return as_caffe(photos(data, n))


def as_caffe(pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """RGB from 0 to 255 as BGR, less the mean."""
    return pixels.flip(1) - CAFFE_MEAN


def random_images(data: Path, n: int) -> Float[Tensor, "n 3 32 32"]:
    """Gaussian noise, for want of images."""
    return torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Subject:
    """A network with published weights (None: as it is drawn), and what to measure it on.

    `downloadable` is torchvision's name of weights that take the same images; None where it has none.
    """

    title: str
    network: str
    weights: str | None
    images: Callable[[Path, int], Tensor]
    n_images: int
    probes: int | None
    head: Head | None = None
    part: str | None = None
    downloadable: str | None = None


def pooled(features: Tensor) -> Tensor:
    """Global average pooling: one output per channel."""
    return features.mean((2, 3))


FIRST = "IMAGENET1K_V1"  # the weights of torchvision that the paper could have
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
        downloadable=FIRST,
    ),
)
SMALL = (Subject("ResNet-20 as it is drawn, noise", "convrfm.networks:resnet20", None, random_images, 8, 2),)
NAMES = {
    "alexnet": "AlexNet",
    **{
        f"vgg{depth}{norm}": f"VGG-{depth}{norm.replace('_', ', ')}"
        for depth in (11, 13, 16, 19)
        for norm in ("", "_bn")
    },
    **{f"resnet{depth}": f"ResNet-{depth}" for depth in (18, 34, 50, 101, 152)},
}
IMAGENET = tuple(
    Subject(f"{title}, ImageNet", f"torchvision:{name}", name, photos_as_imagenet, 50, 16, downloadable=FIRST)
    for name, title in NAMES.items()
)


def measured(subject: Subject, run: Run[Any]) -> Report:
    """Measure one network beside a fresh one."""
    torch.manual_seed(run.seed)  # torchvision's and torch's initialization take no generator
    fresh = _part(load_network(subject.network), subject.part)
    data = Path(run.data or ".")
    return measure(
        published_network(subject, data, download=run.download),
        subject.images(data, subject.n_images).split(10),
        initial=fresh,
        probes=subject.probes,
        head=subject.head,
        generator=torch.Generator().manual_seed(run.seed),
        progress=run.verbose,
        device=chosen_device(run.device),
    )


def published_network(subject: Subject, data: Path, *, download: bool = False) -> nn.Module:
    """The network with its published weights; as torch draws it where it has none.

    Args:
        subject: The network.
        data: A folder with `weights/NAME.safetensors`.
        download: Whether torchvision may fetch what is missing there.

    Raises:
        ModelFileError: If the file is missing, damaged or unsafe.
        InputError: If it holds the weights of another network.
    """
    file = data / "weights" / f"{subject.weights}.safetensors"
    if download and subject.downloadable is not None and not file.exists():
        return _part(load_network(f"{subject.network}@{subject.downloadable}"), subject.part)
    network = _part(load_network(subject.network), subject.part)
    if subject.weights is not None:
        weights = load_weights(file)
        prefix = "" if subject.part is None else f"{subject.part}."
        fill(network, {key.removeprefix(prefix): value for key, value in weights.items()}, file)
    return network


def _part(network: nn.Module, part: str | None) -> nn.Module:
    return network if part is None else network.get_submodule(part)
