"""Theorem 1 of the paper in numbers: after one step of gradient descent from W = 0, the ansatz holds exactly.

A first layer that starts at zero takes one full-batch step on the squared loss. If the derivative of the rest of the
network at zero is the same at every patch, then `W^T W` is proportional to the AGOP at any images: their cosine is 1 to
rounding. With random later layers the derivatives differ from patch to patch: the assumption fails, and so does the
conclusion. Where they differ in size alone, the assumption fails too, but W still has rank one and the cosine is 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from sklearn.datasets import load_digits
from torch import Tensor

from ..cnfa import measure
from ..maths.intervals import means_over
from ..networks.shallow import Later, TanhNetwork
from ..plots import plot_levels
from ..report import Section
from .experiment import Experiment, Finding, Line, Run, Step, Verdict, on_the_cpu_alone
from .scale import Scale

Source = Literal["random", "digits"]
DEPTHS = (1, 2, 3)
LATERS: tuple[Later, ...] = ("constant", "proportional", "random")
SOURCES: tuple[Source, ...] = ("random", "digits")
EXACT = 1e-12  # how far a cosine may be from 1 in double precision


@dataclass(frozen=True)
class Theorem1Settings:
    """Training images, as many others for the AGOP, channels of every layer, and the rate of the one step (any will do)."""

    n: int = 60
    width: int = 16
    rate: float = 0.1


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


def cosine(run: Run[Theorem1Settings], data: Source, depth: int, later: Later) -> Line:
    """Between `W^T W` of the first layer and its AGOP, after one step of a tanh network.

    Args:
        run: the settings.
        data: "random" or "digits".
        depth: number of convolutions.
        later: the later layers: "constant" (the assumption holds), "proportional" (derivatives at patches differ in size
            alone) or "random" (in direction too).
    """
    n = run.settings.n
    generator = torch.Generator().manual_seed(run.seed)
    images, targets = images_and_targets(data, 2 * n, generator)
    network = TanhNetwork(depth, images.shape[1:], run.settings.width, later, generator)
    one_step(network, images[:n], targets[:n], run.settings.rate)
    report = measure(network, images[n:], layers=["first"], rotations=0, resamples=0)
    return {"cosine": report.layers[0].correlations.trained.cosine.value}


def plan(run: Run[Theorem1Settings]) -> Iterator[Step]:
    """A step for each network, in double precision on the CPU."""
    on_the_cpu_alone(run)
    for data in SOURCES:
        for depth in DEPTHS:
            for later in LATERS:
                at = {"data": data, "depth": depth, "later": later}
                yield Step(at, partial(cosine, run, data, depth, later))


def conclude(run: Run[Theorem1Settings], lines: Sequence[Line]) -> Finding:
    """Whether cosines are 1 to rounding where the assumption holds; beside it, what they are where it does not."""
    by_later = {later: [line["cosine"] for line in lines if line["later"] == later] for later in LATERS}
    exact = {later: [abs(1 - value) < EXACT for value in by_later[later]] for later in ("constant", "proportional")}
    picture = plot_levels(
        DEPTHS,
        {
            later: np.array([[v["cosine"] for v in lines if (v["later"], v["depth"]) == (later, d)] for d in DEPTHS])
            for later in LATERS
        },
        xlabel="depth",
        ylabel="cosine",
        scale="linear",
    )
    return Finding(
        verdict=Verdict.of(exact["constant"]),
        ours=f"with equal derivatives, as the theorem assumes, {_counted(exact['constant'])} cosines are 1 to {EXACT:g}, and "
        f"with derivatives that differ in size alone {_counted(exact['proportional'])}; with random ones they are "
        f"{min(by_later['random']):.4f} to {max(by_later['random']):.4f}.",
        header=("data", "depth", "later layers", "cosine"),
        rows=[[line["data"], line["depth"], line["later"], f"{line['cosine']:.15f}"] for line in lines],
        caption="Cosine between W^T W of the first layer and its AGOP.",
        sections=[
            Section("After one step of gradient descent from zero")
            .prose(
                "Constant later layers have the same derivative at every patch, as the theorem assumes. The derivatives of "
                "proportional ones differ from patch to patch in size alone, those of random ones in direction too; the "
                "theorem covers neither."
            )
            .figure(
                picture,
                caption=f"Cosine by depth and kind of later layers: {means_over(len(SOURCES), 'data set')}.",
                alt="Line chart of cosines by depth; constant and proportional later layers are at 1.",
                name="cosines",
            )
        ],
        numbers={"cosines": by_later},
    )


def _counted(exact: Sequence[bool]) -> str:
    return f"{sum(exact)} of {len(exact)}"


EXPERIMENT = Experiment(
    name="theorem1",
    title="Theorem 1 in numbers",
    claim="After one step of gradient descent from W = 0, W^T W is proportional to the AGOP, whatever the data, the depth and "
    "the rate, if the derivative of the later layers at zero is the same at every patch.",
    published="Theorem 1: the cosine is 1.",
    settings={
        Scale.SMOKE: Theorem1Settings(n=20, width=8),
        Scale.LAPTOP: Theorem1Settings(),
        Scale.FULL: Theorem1Settings(),
    },
    minutes={Scale.SMOKE: 0.05, Scale.LAPTOP: 0.1, Scale.FULL: 0.1},
    plan=plan,
    conclude=conclude,
)
