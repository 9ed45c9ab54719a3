"""Edge detectors (Fig. 3 of the paper): what ConvRFM's patch metric responds to, with NTK patches and with Laplace patches.

Beside the eigenvectors stands a number: the share of the eight largest eigenvalues that one oriented derivative filter
each explains, in M, in the covariance of the same patches, and in M with its eigenvectors turned at random. Images are
centered by the mean of each channel: without that, |Mx| of photographs follows their brightness.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ..datasets import load
from ..estimators import ConvRFMClassifier
from ..kernels import NTK, Laplace, PatchKernel, vanilla
from ..maths.gabor import derivative_share
from ..maths.intervals import mean_interval
from ..maths.patches import unfold_patches
from ..plots import LeadingEigenvectors, draw_eigenvectors, leading_eigenvectors
from ..report import Section
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .scale import Scale
from .small_data.images import WANTED, data_set

KERNELS: Mapping[str, PatchKernel] = {"NTK, q = 3": NTK(vanilla(2, 3)), "Laplace, q = 7": Laplace(7, 10.0)}
GENERATED = {"bars": 1.0, "noisy-digits": 0.5}  # sigma
TURNS = 50

Batch = tuple[Float[np.ndarray, "n c h w"], Shaped[np.ndarray, " n"]]


@dataclass(frozen=True)
class EdgeSettings:
    """Training images of each data set, updates of the metric, and draws."""

    data_sets: tuple[str, ...] = ("bars", "noisy-digits", "GTSRB", "CIFAR-10")
    n: int = 300
    updates: int = 2
    seeds: int = 3


def images(run: Run[EdgeSettings], name: str, seed: int) -> Batch:
    """Training images of one draw, centered by the mean of each channel."""
    if name in GENERATED:
        data = load(name, n_train=run.settings.n, n_test=10, sigma=GENERATED[name], seed=seed)
        x, y = data.x_train, data.y_train
    else:
        drawn = data_set(name, Path(run.data or ".")).training_images(run.settings.n, seed)
        x, y = drawn.x, drawn.y
    return x - x.mean((0, 2, 3), keepdims=True), y


def detectors(run: Run[EdgeSettings], name: str, kernel: str, seed: int) -> Line:
    """Shares that oriented derivatives explain, and the leading eigenvectors of the last round's metric."""
    x, y = images(run, name, seed)
    model = ConvRFMClassifier(KERNELS[kernel], n_iterations=run.settings.updates, keep="last", device=run.device)
    metric = torch.as_tensor(model.fit(x, y).feature_matrix_, dtype=torch.float64)
    window = KERNELS[kernel].window
    shape = (x.shape[1], window.size, window.size)
    patches = unfold_patches(torch.from_numpy(x).double(), window).movedim(1, -1).reshape(-1, len(metric))
    eigenvectors = leading_eigenvectors(metric.numpy(), shape)
    return {
        "share": derivative_share(metric, shape),
        "of_patches": derivative_share(patches.T @ patches, shape),
        "at_random": float(np.mean([derivative_share(_turned(metric, turn), shape) for turn in range(TURNS)])),
        "eigenvectors": eigenvectors.patches.round(4).tolist(),
        "of_trace": eigenvectors.shares.tolist(),
    }


def _turned(metric: Float[Tensor, "d d"], turn: int) -> Float[Tensor, "d d"]:
    """The same spectrum in random directions."""
    noise = torch.randn(metric.shape, generator=torch.Generator().manual_seed(turn), dtype=metric.dtype)
    rotation = torch.linalg.qr(noise).Q
    return rotation @ metric @ rotation.T


def plan(run: Run[EdgeSettings]) -> Iterator[Step]:
    """A step for every fit."""
    for name in run.settings.data_sets:
        for kernel in KERNELS:
            for seed in range(run.seed, run.seed + run.settings.seeds):
                at = {"data_set": name, "kernel": kernel, "seed": seed}
                yield Step(at, partial(detectors, run, name, kernel, seed))


def conclude(run: Run[EdgeSettings], lines: Sequence[Line]) -> Finding:
    """Whether M holds more of oriented derivatives than patches do, and than random directions do."""
    rows, above, sections = [], list[bool](), []
    for name in run.settings.data_sets:
        section = Section(f"Eigenvectors: {name}")
        for kernel in KERNELS:
            mine = [line for line in lines if (line["data_set"], line["kernel"]) == (name, kernel)]
            share, of_patches, at_random = (
                np.array([line[what] for line in mine]) for what in ("share", "of_patches", "at_random")
            )
            gains = [mean_interval(share - others) for others in (of_patches, at_random)]
            above += [low > 0 for low, _ in gains]
            means = (f"{100 * values.mean():.1f}" for values in (share, of_patches, at_random))
            rows.append([name, kernel, *means, *(f"{100 * low:+.1f} to {100 * high:+.1f}" for low, high in gains)])
            shown = LeadingEigenvectors(np.array(mine[0]["eigenvectors"]), np.array(mine[0]["of_trace"]))
            section.figure(
                draw_eigenvectors(shown),
                caption=f"{name}, {kernel}: the eight leading eigenvectors of M, seed {mine[0]['seed']}.",
                alt="Eight little pictures of patches.",
                name=f"{name}-{kernel}".replace(", q = ", "-").replace(" ", "-").lower(),
            )
        sections.append(section)
    return Finding(
        verdict=Verdict.of(above),
        ours=f"the share that oriented derivatives explain is above that of patches, or of random directions, by more than its "
        f"95% interval in {sum(above)} of {len(above)} comparisons.",
        header=("data set", "kernel", "M", "patches", "at random", "M - patches", "M - at random"),
        rows=rows,
        caption="Per cent of the eight largest eigenvalues explained by one oriented derivative filter each: of M, of the "
        f"covariance of the same patches, and of M turned at random ({TURNS} turns). Means over {run.settings.seeds} draws; "
        f"95% intervals of the differences draw by draw. {run.settings.n} training images, {run.settings.updates} updates.",
        sections=sections,
    )


EXPERIMENT = Experiment(
    name="fig3",
    title="Edge detectors in the patch metric of ConvRFM",
    claim="The leading eigenvectors of ConvRFM's patch metric are oriented derivatives (edge detectors), more than the "
    "principal components of patches are, and more than random directions.",
    published="Fig. 3 of the paper shows edge detectors among the top eight eigenvectors; numbers for it are not at hand.",
    settings={
        Scale.SMOKE: EdgeSettings(("bars", "noisy-digits"), n=40, updates=1, seeds=2),
        Scale.LAPTOP: EdgeSettings(),
        Scale.FULL: EdgeSettings(n=2000, updates=3),
    },
    minutes={Scale.SMOKE: 0.3, Scale.LAPTOP: 10, Scale.FULL: 200},
    plan=plan,
    conclude=conclude,
    data=WANTED,
)
