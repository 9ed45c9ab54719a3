"""Algorithm 2 of the paper: layer by layer, the rounds of Algorithm 1, then random features drawn from the metric."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..maths.random_filters import Activation, RandomFeatures, random_filters
from ..maths.windows import Window
from .problem import LearnableKernel, Problem, Watch
from .rounds import Fold, Round, best_round, fit_round

Keep = Literal["best", "last"]


@dataclass(eq=False)
class Layer:
    """One layer's kernel, its rounds, and the filters that lead to the next layer.

    Attributes:
        kernel: the kernel on this layer's images.
        keep: which round is kept: "best", or "last".
        rounds: every finished round, from the fixed kernel on.
        features: what leads to the next layer, with filters drawn from N(0, M), M that of the kept round; None at the
            last layer.
    """

    kernel: LearnableKernel
    keep: Keep
    rounds: list[Round] = field(default_factory=list)
    features: RandomFeatures | None = None

    @property
    def kept(self) -> Round:
        """The round whose metric and coefficients this layer keeps."""
        return self.rounds[-1] if self.keep == "last" else best_round(self.rounds)

    def leads_on_as(self, other: "Layer") -> bool:
        """Whether the next layer sees the same images after both."""
        a, b = self.features, other.features
        if a is None or b is None or a.activation != b.activation or (a.mean is None) != (b.mean is None):
            return False
        return torch.equal(a.filters, b.filters)


@dataclass(frozen=True)
class FilterDraw:
    """How the filters between layers are drawn.

    Attributes:
        n_filters: how many.
        activation: what follows them.
        centre: whether each channel's mean over training images and positions is subtracted.
        seeds: one for each layer.
    """

    n_filters: int
    activation: Activation
    centre: bool
    seeds: Sequence[np.random.SeedSequence]

    def features(
        self,
        layer: int,
        feature_matrix: Float[Tensor, "d d"],
        window: Window,
        images: Float[Tensor, "n c h w"],
        weights: Float[Tensor, " n"] | None,
    ) -> RandomFeatures:
        """What leads from this layer, with its metric M and its (weighted) training images, to the next."""
        shape = (self.n_filters, len(feature_matrix))
        normals = torch.from_numpy(np.random.default_rng(self.seeds[layer]).standard_normal(shape)).to(images.device)
        features = RandomFeatures(random_filters(feature_matrix, normals, self.activation), window, self.activation)
        return features.centred(images, weights) if self.centre else features


def fit_layers(
    layers: list[Layer],
    problem: Problem,
    kernels: Sequence[LearnableKernel],
    *,
    n_iterations: int,
    keep: Keep,
    draw: FilterDraw | None,
    folds: Sequence[Fold],
    earlier: Sequence[Layer],
    watch: Callable[[str], Watch],
) -> None:
    """Fit `n_iterations` + 1 rounds of every layer.

    Args:
        layers: an empty list, filled round by round, so that an interrupt loses none.
        problem: that of the first layer.
        kernels: one for each layer.
        n_iterations: updates of M in each layer.
        keep: which round of each layer is kept.
        draw: how filters are drawn; needed where there are several layers.
        folds: parts of the problem, to choose by cross-validation.
        earlier: layers of the same problem with fewer rounds, to go on from.
        watch: from what is being done to what is told of its progress.
    """
    for number, kernel in enumerate(kernels):
        before = earlier[number] if number < len(earlier) else None
        layer = Layer(kernel, keep, [] if before is None else list(before.rounds))
        layers.append(layer)
        for iteration in range(len(layer.rounds), n_iterations + 1):
            label = f"layer {number + 1}/{len(kernels)}, " * (len(kernels) > 1) + f"round {iteration}/{n_iterations}"
            layer.rounds.append(fit_round(problem, layer.rounds[-1] if layer.rounds else None, folds, watch(label)))
        if number + 1 < len(kernels):
            assert draw is not None
            metric = layer.kept.feature_matrix
            layer.features = draw.features(number, metric, kernel.window, problem.x, problem.weights)
            if before is None or not before.leads_on_as(layer):
                earlier = ()  # further layers rest on other images
            for fold in folds:
                fitted, own = fold.problem, fold.metrics[layer.kept.iteration]
                features = draw.features(
                    number, metric if own is None else own, kernel.window, fitted.x, fitted.weights
                )
                fold.next_layer(fitted.through(features, kernels[number + 1]))
            problem = problem.through(layer.features, kernels[number + 1])
