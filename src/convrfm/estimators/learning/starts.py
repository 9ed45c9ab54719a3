"""From one layer to the next: filters drawn from the metric, and the best way of centering what they make of the images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from ...errors import InputError
from ...kernels.recursion.recursion import Images
from ...maths.random_filters import Centering, Nonlinearity, RandomFeatures, random_filters
from ...maths.windows import Window
from ..given.targets import Quality
from ..solving.solver import LearnableKernel, Metric, Watch
from .folds import Fold
from .problem import Problem
from .rounds import Round, fit_round


@dataclass(frozen=True)
class FilterDraw:
    """How the filters between layers are drawn.

    Attributes:
        n_filters: how many.
        activation: what follows them.
        centerings: ways of centering the features over training images and positions; the best is kept.
        seeds: one for each layer.
    """

    n_filters: int
    activation: Nonlinearity
    centerings: Sequence[Centering]
    seeds: Sequence[np.random.SeedSequence]

    def features(self, layer: int, metric: Metric, window: Window, images: Images) -> RandomFeatures:
        """What leads from this layer, where such images arrive, with its metric M to the next, before it is centered."""
        shape = (self.n_filters, images.shape[1] * window.size**2)
        normals = torch.from_numpy(np.random.default_rng(self.seeds[layer]).standard_normal(shape))
        filters = random_filters(metric, normals.to(images.device), self.activation).to(images)
        return RandomFeatures(filters, window, self.activation)

    def features_of_folds(self, layer: int, kept: Round, problem: Problem) -> list[RandomFeatures]:
        """The same for every fold, from its own metric in the round that is kept."""
        return [self.features(layer, fold.metric, problem.kernel.window, problem.x) for fold in kept.folds]


NOTHING_DRAWN = FilterDraw(n_filters=0, activation=None, centerings=(), seeds=())
"""For one layer, which leads nowhere."""


def known_folds(
    draw: FilterDraw,
    number: int,
    kept: Round,
    folds: Sequence[Fold],
    centering: Centering,
    kernel: LearnableKernel,
    problem: Problem,
) -> list[Fold]:
    """The folds of the next layer, where the way of centering is known already."""
    ahead = []
    for fold, drawn in zip(folds, draw.features_of_folds(number, kept, problem), strict=True):
        features = drawn.centered(centering, fold.problem.x, fold.problem.weights)
        assert features is not None, "a way of centering that was kept leaves something of every fold's features"
        ahead.append(fold.through(features, kernel))
    return ahead


class Start(NamedTuple):
    """Where a layer starts: what leads there, its problem and the folds of it, and the rounds that are known already.

    `qualities` is how good the fixed kernel is with each way of centering; None where that leaves nothing of the features.
    """

    features: RandomFeatures
    qualities: Mapping[Centering, Quality | None]
    problem: Problem
    folds: Sequence[Fold]
    rounds: Sequence[Round]


def best_start(
    draw: FilterDraw,
    number: int,
    kept: Round,
    problem: Problem,
    folds: Sequence[Fold],
    kernel: LearnableKernel,
    watch: Callable[[str], Watch],
) -> Start:
    """The start of the next layer whose fixed kernel is the best of those with each way of centering; of equals the first.

    Args:
        draw: how the filters are drawn, and which ways of centering there are.
        number: this layer's, from 0.
        kept: the round that this layer keeps.
        problem: that of this layer.
        folds: those of this layer; features of each are centered by its own images.
        kernel: of the next layer.
        watch: from what is being done to what is told of its progress.

    Raises:
        InputError: if every way of centering leaves nothing of the features.
    """
    whole_drawn = draw.features(number, kept.metric, problem.kernel.window, problem.x)
    drawn = [whole_drawn, *draw.features_of_folds(number, kept, problem)]
    best: Start | None = None
    qualities: dict[Centering, Quality | None] = {}
    for centering in draw.centerings:
        problems = [problem, *(fold.problem for fold in folds)]
        centered = [f.centered(centering, p.x, p.weights) for f, p in zip(drawn, problems, strict=True)]
        remaining = [features for features in centered if features is not None]
        qualities[centering] = None
        if len(remaining) == len(problems):
            whole, *of_folds = remaining
            ahead = problem.through(whole, kernel)
            folds_ahead = [fold.through(features, kernel) for fold, features in zip(folds, of_folds, strict=True)]
            fixed = fit_round(ahead, None, folds_ahead, watch(f"centering {centering}"))
            qualities[centering] = fixed.judged
            if best is None or fixed.judged.rank > best.rounds[0].judged.rank:
                best = Start(whole, qualities, ahead, folds_ahead, [fixed])
            del ahead, folds_ahead  # the images of what was not kept
    if best is None:
        raise InputError(
            f"all features that layer {number + 1} puts out have one direction: in proportion to their length centering "
            "leaves nothing of them. Pass another centering, or other images."
        )
    return best
