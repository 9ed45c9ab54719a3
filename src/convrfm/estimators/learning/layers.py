"""Algorithm 2 of the paper: layer by layer, the rounds of Algorithm 1, then random features drawn from the metric."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch

from ...maths.random_filters import Centering, RandomFeatures
from ..given.targets import Quality
from ..solving.solver import LearnableKernel, Watch
from .folds import Fold
from .problem import Problem
from .progress import within
from .rounds import Round, best_round, fit_rounds
from .starts import FilterDraw, Start, best_start, known_folds

Keep = Literal["best", "last"]


@dataclass(frozen=True, eq=False)
class FittedLayer:
    """One layer's kernel, its rounds, and the filters that lead to the next layer.

    Attributes:
        kernel: the kernel on this layer's images.
        keep: which round is kept: "best", or "last".
        rounds: every finished round, from the fixed kernel on.
        features: what leads to the next layer, with filters drawn from N(0, M), M that of the kept round; None at the
            last layer.
        qualities: how good the next layer's fixed kernel is, by its judge, with each way of centering the features; None
            where that leaves nothing of them.
    """

    kernel: LearnableKernel
    keep: Keep
    rounds: tuple[Round, ...] = ()
    features: RandomFeatures | None = None
    qualities: Mapping[Centering, Quality | None] = field(default_factory=dict)

    @property
    def kept(self) -> Round:
        """The round whose metric and coefficients this layer keeps."""
        return self.rounds[-1] if self.keep == "last" else best_round(self.rounds)

    def with_round(self, round_: Round) -> "FittedLayer":
        """One round more; folds can go on from it and from the one that is kept."""
        more = replace(self, rounds=(*self.rounds, round_))
        kept = more.kept
        return replace(more, rounds=tuple(r if r in (kept, round_) else r.without_folds() for r in more.rounds))

    def reusable_features(self, drawn: RandomFeatures, centerings: Sequence[Centering]) -> RandomFeatures | None:
        """What led on from this layer, where that is these features, centered in the best of these ways."""
        features = self.features
        if features is None or features.activation != drawn.activation or tuple(self.qualities) != tuple(centerings):
            return None
        return features if torch.equal(features.filters, drawn.filters) else None


def fit_layers(
    problem: Problem,
    kernels: Sequence[LearnableKernel],
    *,
    n_iterations: int,
    keep: Keep,
    draw: FilterDraw,
    folds: Sequence[Fold],
    earlier: Sequence[FittedLayer],
    watch: Callable[[str], Watch],
) -> Iterator[tuple[FittedLayer, ...]]:
    """Fit `n_iterations` + 1 rounds of every layer; after each round, the layers as far as they are finished.

    Args:
        problem: that of the first layer.
        kernels: one for each layer.
        n_iterations: updates of M in each layer.
        keep: which round of each layer is kept.
        draw: how filters between layers are drawn.
        folds: parts of the problem, to choose by cross-validation.
        earlier: layers of the same problem with fewer rounds, to go on from.
        watch: from what is being done to what is told of its progress.

    Raises:
        InputError: if nothing is left of a layer's features.
    """
    done: tuple[FittedLayer, ...] = ()
    rounds: Sequence[Round] = earlier[0].rounds if earlier else ()
    for number, kernel in enumerate(kernels):
        layer = FittedLayer(kernel, keep)
        place = within(f"layer {number + 1}/{len(kernels)}", watch) if len(kernels) > 1 else watch
        for round_ in fit_rounds(problem, rounds, n_iterations, folds, place):
            layer = layer.with_round(round_)
            yield *done, layer
        if number + 1 == len(kernels):
            return
        ahead = kernels[number + 1]
        with problem.threads():
            start = _known_start(layer, draw, number, problem, folds, ahead, earlier)
            if start is None:
                earlier = ()  # further layers rest on other images
                at = within(f"layer {number + 2}/{len(kernels)}, round 0/{n_iterations}", watch)
                start = best_start(draw, number, layer.kept, problem, folds, ahead, at)
        done = (*done, replace(layer, features=start.features, qualities=start.qualities))
        problem, folds, rounds = start.problem, start.folds, start.rounds


def _known_start(
    layer: FittedLayer,
    draw: FilterDraw,
    number: int,
    problem: Problem,
    folds: Sequence[Fold],
    kernel: LearnableKernel,
    earlier: Sequence[FittedLayer],
) -> Start | None:
    """Where the next layer started before, if what leads there would be the same."""
    if number >= len(earlier):
        return None
    before = earlier[number]
    drawn = draw.features(number, layer.kept.metric, layer.kernel.window, problem.x)
    features = before.reusable_features(drawn, draw.centerings)
    if features is None:
        return None
    rounds = earlier[number + 1].rounds if number + 1 < len(earlier) else ()
    folds_ahead = known_folds(draw, number, layer.kept, folds, features.centering, kernel, problem)
    return Start(features, before.qualities, problem.through(features, kernel), folds_ahead, rounds)
