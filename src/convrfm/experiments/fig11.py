"""Edges by their direction (Fig. 11 of the paper): every leading eigenvector on photographs by itself.

The oriented derivative that fits an eigenvector best has a direction. If the eigenvector is an edge detector of that
direction, its response follows the photograph's gradient along it more than the gradient across it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..maths.edges import window_gradient
from ..maths.gabor import best_filters
from ..maths.intervals import above_zero, mean_with_interval, with_intervals
from ..maths.patches import filter_patches
from ..plots import leading_eigenvectors, plot_feature_maps
from ..report import Section
from .edge_detectors import KERNELS, WANTED, correlations, learned_metric
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .kept_pictures import kept, seen_all
from .photographs import bundled_photographs, gray, photographs, scaled_for
from .scale import Scale
from .scaled_images import images

COUNT = 8
ORIENTED = 0.5  # the share of an eigenvector that one oriented derivative explains, for it to have a direction
MAP_SIDE = 56  # pixels


@dataclass(frozen=True)
class DirectionSettings:
    """Training images of each data set, updates of the metric, and photographs."""

    data_sets: tuple[str, ...] = ("GTSRB", "CIFAR-10")
    n: int = 100
    updates: int = 2
    agop_samples: int = 30
    photographs: int = 30


def directions(run: Run[DirectionSettings], name: str, kernel: str) -> Line:
    """Of every leading eigenvector its direction, what its response follows, and its maps of two photographs."""
    settings, window = run.settings, KERNELS[kernel].window
    train, _ = images(name, run.data, settings.n, run.seed)
    measured, shown = photographs(run.data, settings.photographs), bundled_photographs()
    metric = learned_metric(train, KERNELS[kernel], settings.updates, settings.agop_samples, run.device)
    shape = (train.x.shape[1], window.size, window.size)
    leading = leading_eigenvectors(metric.numpy(), shape, COUNT)
    vectors = torch.from_numpy(leading.patches)
    explained, angles = best_filters(vectors)
    filters = vectors.flatten(1).float()

    def responses(plain: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "eigenvectors n rows cols"]:
        return filter_patches(scaled_for(plain, shape[0]), filters, window).abs().movedim(1, 0)

    along, across = oriented_gradients(window_gradient(gray(measured), window.size), angles.float())
    found = responses(measured)
    return {
        "of_trace": leading.shares.tolist(),
        "explained": explained.tolist(),
        "degrees": angles.rad2deg().tolist(),
        "along": [correlations(*each) for each in zip(found, along, strict=True)],
        "across": [correlations(*each) for each in zip(found, across, strict=True)],
        "photographs": [kept(each) for each in shown],
        "maps": [[kept(each, MAP_SIDE) for each in maps] for maps in responses(shown)],
    }


def oriented_gradients(
    gradient: Float[Tensor, "2 n rows cols"], angles: Float[Tensor, " m"]
) -> tuple[Float[Tensor, "m n rows cols"], Float[Tensor, "m n rows cols"]]:
    """The gradient's length along each direction, and across it."""
    units = torch.stack([torch.stack([angles.cos(), angles.sin()]), torch.stack([-angles.sin(), angles.cos()])])
    along, across = torch.einsum("kim,inrc->kmnrc", units, gradient).abs()
    return along, across


def plan(run: Run[DirectionSettings]) -> Iterator[Step]:
    """A step for every fit."""
    for name in run.settings.data_sets:
        for kernel in KERNELS:
            yield Step({"data_set": name, "kernel": kernel}, partial(directions, run, name, kernel))


def conclude(run: Run[DirectionSettings], lines: Sequence[Line]) -> Finding:
    """Whether eigenvectors that have a direction respond to edges of that direction."""
    rows, follow, sections = [], list[bool | None](), []
    for line in lines:
        case = f"{line['data_set']}, {line['kernel']}"
        for number in range(len(line["explained"])):
            along, across = (100 * np.array(line[what][number]) for what in ("along", "across"))
            oriented = line["explained"][number] >= ORIENTED
            if oriented:
                follow.append(above_zero(along - across))
            shares = (f"{line['of_trace'][number]:.1%}", f"{line['explained'][number]:.0%}")
            direction = f"{line['degrees'][number]:.0f}" if oriented else "none"
            means = (f"{along.mean():.0f}", f"{across.mean():.0f}", mean_with_interval(along - across, signed=True))
            rows.append([case, number + 1, *shares, direction, *means])
        maps = {str(number): seen_all(each) for number, each in enumerate(line["maps"], 1)}
        sections.append(
            Section(f"Eigenvector by eigenvector: {case}").figure(
                plot_feature_maps(seen_all(line["photographs"]), maps),
                caption=f"{case}: |<v, x[u]>| at every position u of two photographs that scikit-learn bundles, for each of "
                "the leading eigenvectors v. Every panel has its own scale.",
                alt="Two photographs and their maps under each eigenvector.",
                name=case.replace(", q = ", "-").replace(", ", "-").lower(),
            )
        )
    photographs = len(lines[0]["along"][0])
    return Finding(
        verdict=Verdict.of(follow),
        ours=f"{len(follow)} of {len(rows)} leading eigenvectors are oriented derivatives (one explains at least "
        f"{ORIENTED:.0%} of them); {follow.count(True)} of these respond to edges of their own direction more than to edges "
        "across it, by more than the 95% interval.",
        header=("metric", "eigenvector", "of trace", "explained", "direction", "along", "across", "along - across"),
        rows=rows,
        caption="Explained: by the oriented derivative that fits best; its direction in degrees. Along, across: correlation, "
        "times 100, of the response with the window's mean gradient along that direction and across it, over positions; means "
        f"over {photographs} photographs, and differences photograph by photograph{with_intervals(photographs)}.",
        sections=sections,
    )


EXPERIMENT = Experiment(
    name="fig11",
    title="Edge detectors by their direction",
    claim="Leading eigenvectors of ConvRFM's patch metric that are oriented derivatives pick out edges of their own direction "
    "in photographs of another kind and size.",
    published="Fig. 11 of the paper: horizontal, vertical and diagonal eigenvectors, learned on SVHN and GTSRB, show edges of "
    "the same alignment in ImageNet's photographs; without numbers. CIFAR-10 stands in for SVHN.",
    settings={
        Scale.SMOKE: DirectionSettings(("noisy-digits",), n=30, updates=1),
        Scale.LAPTOP: DirectionSettings(),
        Scale.FULL: DirectionSettings(n=1000, updates=3, agop_samples=200, photographs=250),
    },
    minutes={Scale.SMOKE: 0.2, Scale.LAPTOP: 1, Scale.FULL: 200},
    plan=plan,
    conclude=conclude,
    data=WANTED,
)
