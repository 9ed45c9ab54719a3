"""Algorithm 2 of the paper: layer by layer, the rounds of Algorithm 1, then random features drawn from the metric."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..maths.random_filters import Activation, random_features, random_filters
from .problem import PatchKernel, Problem, Watch
from .rounds import Fold, Round, best_round, fit_round

Keep = Literal["best", "last"]


@dataclass(eq=False)
class Layer:
    """One layer's kernel, its rounds, and the filters that lead to the next layer.

    Attributes:
        kernel: the kernel on this layer's images.
        keep: which round is kept: "best", or "last".
        rounds: every finished round, from the fixed kernel on.
        filters: `(k, d)`, drawn from N(0, M) with the kept round's M; None at the last layer.
        activation: what follows the filters.
    """

    kernel: PatchKernel
    keep: Keep
    rounds: list[Round] = field(default_factory=list)
    filters: Float[Tensor, "k d"] | None = None
    activation: Activation = None

    @property
    def kept(self) -> Round:
        """The round whose metric and coefficients this layer keeps."""
        return self.rounds[-1] if self.keep == "last" else best_round(self.rounds)

    def leads_on_as(self, other: "Layer") -> bool:
        """Whether the next layer sees the same images after both."""
        if self.filters is None or other.filters is None:
            return False
        return torch.equal(self.filters, other.filters) and self.activation == other.activation

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k rows cols"]:
        """The images as the next layer sees them."""
        assert self.filters is not None
        return random_features(images, self.filters, self.kernel.window, self.activation)


@dataclass(frozen=True)
class FilterDraw:
    """How the filters between layers are drawn.

    Attributes:
        n_filters: how many.
        activation: what follows them.
        seeds: one for each layer.
    """

    n_filters: int
    activation: Activation
    seeds: Sequence[np.random.SeedSequence]

    def normals(self, layer: int, d: int) -> Float[Tensor, "k d"]:
        """The standard normal numbers of this layer, for patches of d entries."""
        return torch.from_numpy(np.random.default_rng(self.seeds[layer]).standard_normal((self.n_filters, d)))


def fit_layers(
    layers: list[Layer],
    problem: Problem,
    kernels: Sequence[PatchKernel],
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
            normals = draw.normals(number, problem.patch_entries).to(problem.x.device)
            layer.activation = draw.activation
            layer.filters = random_filters(layer.kept.feature_matrix, normals, draw.activation)
            if before is None or not before.leads_on_as(layer):
                earlier = ()  # further layers rest on other images
            for fold in folds:
                metric = fold.metrics[layer.kept.iteration]
                own = layer.filters if metric is None else random_filters(metric, normals, draw.activation)
                fold.next_layer(fold.problem.through(own, draw.activation, kernels[number + 1]))
            problem = problem.through(layer.filters, draw.activation, kernels[number + 1])
