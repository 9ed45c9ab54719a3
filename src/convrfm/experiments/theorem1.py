"""Theorem 1 of the paper in numbers: after one step of gradient descent from W = 0, the ansatz holds exactly.

A first layer that starts at zero takes one full-batch step on the squared loss. If the derivative of the rest of the
network at zero is the same at every patch, then `W^T W` is proportional to the AGOP at any images: their cosine is 1 to
rounding. With random later layers the derivatives differ from patch to patch: the assumption fails, and so does the
conclusion. What matters is their direction: where they differ in size alone, W still has rank one, the cosine is 1.
"""

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from sklearn.datasets import load_digits
from torch import Tensor

from ..cnfa import measure
from ..errors import InputError
from ..networks.shallow import Later, TanhNetwork
from ..report import Section
from .figure import PublishedFigure, Reproduction, Request
from .run_folder import RunFolder
from .scale import Scale

SIZES = {Scale.SMOKE: (20, 8), Scale.FULL: (60, 16)}  # images, channels
HEADER = ("Data", "Depth", "Later layers", "Cosine")

Source = Literal["random", "digits"]


@dataclass(frozen=True)
class Outcome:
    """One network after its step.

    Attributes:
        data: "random" or "digits".
        depth: Number of convolutions.
        later: The later layers: "constant" (the assumption holds), "proportional" (derivatives at patches differ in
            size alone) or "random" (in direction too).
        cosine: Between `W1^T W1` and the AGOP.
    """

    data: Source
    depth: int
    later: Later
    cosine: float


def images_and_targets(
    data: Source, n: int, generator: torch.Generator
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n 1"]]:
    """Gaussian 3 x 8 x 8 images with Gaussian targets, or centered 8 x 8 digits with their centered label as target."""
    if data == "random":
        images = torch.randn(n, 3, 8, 8, generator=generator, dtype=torch.float64)
        return images, torch.randn(n, 1, generator=generator, dtype=torch.float64)
    pixels, labels = load_digits(return_X_y=True)
    chosen = torch.randperm(len(pixels), generator=generator)[:n].numpy()
    images = torch.from_numpy(np.asarray(pixels[chosen])).reshape(n, 1, 8, 8) / 16
    targets = torch.from_numpy(labels[chosen]).double().unsqueeze(1)
    return images - images.mean(), targets - targets.mean()


def one_step(network: TanhNetwork, images: Tensor, targets: Tensor, rate: float) -> None:
    """One step of full-batch gradient descent on the mean squared error, of the first layer alone."""
    weight = network.first.weight
    loss = (network(images) - targets).square().mean()
    with torch.no_grad():
        weight -= rate * torch.autograd.grad(loss, weight)[0]


def theorem1(n: int = 60, width: int = 16, rate: float = 0.1, seed: int = 0) -> list[Outcome]:
    """Cosines after one step for tanh networks of depth 1 to 3, on both data, with and without the assumption.

    Args:
        n: Number of training images; the AGOP is taken at as many others.
        width: Channels of every layer.
        rate: Learning rate; the theorem holds for any.
        seed: Of data and random weights.
    """
    outcomes = []
    sources: tuple[Source, ...] = ("random", "digits")
    laters: tuple[Later, ...] = ("constant", "proportional", "random")
    for data in sources:
        for depth in (1, 2, 3):
            for later in laters:
                generator = torch.Generator().manual_seed(seed)
                images, targets = images_and_targets(data, 2 * n, generator)
                network = TanhNetwork(depth, images.shape[1:], width, later, generator)
                one_step(network, images[:n], targets[:n], rate)
                report = measure(network, images[n:], layers=["first"], rotations=0, resamples=0)
                cosine = report.layers[0].correlations.trained.cosine.value
                outcomes.append(Outcome(data, depth, later, cosine))
    return outcomes


def produce(request: Request, folder: RunFolder, verbose: bool) -> Reproduction:
    """One line for each network, in double precision on the CPU."""
    if request.device not in ("auto", "cpu"):
        raise InputError(f"theorem1 is computed on the CPU; got --device {request.device}. Leave it out.")
    n, width = SIZES[request.scale]
    outcomes = [asdict(outcome) for outcome in theorem1(n, width, seed=request.seed)]
    rows = [[o["data"], o["depth"], o["later"], f"{o['cosine']:.15f}"] for o in outcomes]
    section = (
        Section("After one step of gradient descent from zero")
        .prose(
            "Where the derivative of the later layers at zero has one direction at every patch (constant, proportional), "
            "the theorem's assumption holds and the cosine is 1. Where directions differ (random), it does not."
        )
        .table(HEADER, rows, caption="Cosine between W^T W of the first layer and its AGOP.")
    )
    return Reproduction(outcomes, HEADER, rows, [section])


FIGURE = PublishedFigure("Theorem 1 in numbers", produce)
