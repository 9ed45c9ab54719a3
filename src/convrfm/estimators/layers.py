"""Algorithm 2 of the paper: layer by layer, the rounds of Algorithm 1, then random features drawn from the metric."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..maths.random_filters import Activation, Centering, RandomFeatures, random_filters
from ..maths.windows import Window
from .problem import LearnableKernel, Problem, Watch
from .progress import within
from .rounds import Fold, Round, best_round, fit_round, record_of
from .targets import Quality

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
        qualities: how good the next layer's fixed kernel is, by its judge, with each way of centering the features; None
            where that leaves nothing of them.
    """

    kernel: LearnableKernel
    keep: Keep
    rounds: list[Round] = field(default_factory=list)
    features: RandomFeatures | None = None
    qualities: dict[Centering, Quality | None] = field(default_factory=dict)

    @property
    def kept(self) -> Round:
        """The round whose metric and coefficients this layer keeps."""
        return self.rounds[-1] if self.keep == "last" else best_round(self.rounds)

    @property
    def centering_records(self) -> list[dict[str, Any]]:
        """`qualities` as plain values."""
        return [{"centering": way, **(judged.figures if judged else {})} for way, judged in self.qualities.items()]

    def reusable_features(self, drawn: RandomFeatures, centerings: Sequence[Centering]) -> RandomFeatures | None:
        """What led on from this layer, where that is these features, centered in the best of these ways."""
        features = self.features
        if features is None or features.activation != drawn.activation or tuple(self.qualities) != tuple(centerings):
            return None
        return features if torch.equal(features.filters, drawn.filters) else None


def records_by_layer(layers: Sequence[Layer]) -> list[list[dict[str, Any]]]:
    """Every round of every layer as plain values; at round 0 also what each way of centering the images reached."""
    records = [[record_of(round_) for round_ in layer.rounds] for layer in layers]
    for before, after in zip(layers, records[1:], strict=False):
        after[0]["centerings"] = before.centering_records
    return records


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
    activation: Activation
    centerings: Sequence[Centering]
    seeds: Sequence[np.random.SeedSequence]

    def features(self, layer: int, feature_matrix: Float[Tensor, "d d"], window: Window) -> RandomFeatures:
        """What leads from this layer with its metric M to the next, before it is centered."""
        shape = (self.n_filters, len(feature_matrix))
        normals = torch.from_numpy(np.random.default_rng(self.seeds[layer]).standard_normal(shape))
        filters = random_filters(feature_matrix, normals.to(feature_matrix.device), self.activation)
        return RandomFeatures(filters, window, self.activation)


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
    rounds: list[Round] = []
    for number, kernel in enumerate(kernels):
        before = earlier[number] if number < len(earlier) else None
        layer = Layer(kernel, keep, rounds if before is None else list(before.rounds))
        layers.append(layer)
        for iteration in range(len(layer.rounds), n_iterations + 1):
            label = f"layer {number + 1}/{len(kernels)}, " * (len(kernels) > 1) + f"round {iteration}/{n_iterations}"
            layer.rounds.append(fit_round(problem, layer.rounds[-1] if layer.rounds else None, folds, watch(label)))
        if number + 1 < len(kernels):
            assert draw is not None
            drawn = draw.features(number, layer.kept.feature_matrix, kernel.window)
            known = None if before is None else before.reusable_features(drawn, draw.centerings)
            if before is not None and known is not None:
                layer.features, layer.qualities = known, before.qualities
                problem, rounds = problem.through(known, kernels[number + 1]), []
            else:
                earlier = ()  # further layers rest on other images
                in_folds = [draw.features(number, fold.metric_of(layer.kept), kernel.window) for fold in folds]
                place = within(f"layer {number + 2}/{len(kernels)}, round 0/{n_iterations}", watch)
                start, qualities = best_start(
                    draw.centerings, drawn, in_folds, problem, folds, kernels[number + 1], place
                )
                if start is None:
                    raise InputError(
                        f"all features that layer {number + 1} puts out have one direction: in proportion to their length "
                        "centering leaves nothing of them. Pass another centering, or other images."
                    )
                layer.qualities = qualities
                layer.features, problem, folds, rounds = start
                del start


class Start(NamedTuple):
    """Where a layer starts: what leads there, its problem and the folds of it, and its fixed kernel."""

    features: RandomFeatures
    problem: Problem
    folds: Sequence[Fold]
    rounds: list[Round]


def best_start(
    centerings: Sequence[Centering],
    drawn: RandomFeatures,
    in_folds: Sequence[RandomFeatures],
    problem: Problem,
    folds: Sequence[Fold],
    kernel: LearnableKernel,
    watch: Callable[[str], Watch],
) -> tuple[Start | None, dict[Centering, Quality | None]]:
    """The start of the next layer whose fixed kernel is the best, and how good it is with each way of centering.

    Args:
        centerings: the ways; of equals the first is kept.
        drawn: features, not centered.
        in_folds: those of each fold, which are centered by its own images.
        problem: that of this layer.
        folds: those of this layer.
        kernel: of the next layer.
        watch: from what is being done to what is told of its progress.

    Returns:
        None for the start if every way leaves nothing of the features, and for the quality of one that does.
    """
    best: Start | None = None
    qualities: dict[Centering, Quality | None] = {}
    for centering in centerings:
        problems = [problem, *(fold.problem for fold in folds)]
        centered = [f.centered(centering, p.x, p.weights) for f, p in zip((drawn, *in_folds), problems, strict=True)]
        remaining = [features for features in centered if features is not None]
        qualities[centering] = None
        if len(remaining) == len(problems):
            whole, *own = remaining
            ahead = problem.through(whole, kernel)
            folds_ahead = [fold.through(features, kernel) for fold, features in zip(folds, own, strict=True)]
            fixed = fit_round(ahead, None, folds_ahead, watch(f"centering {centering}"))
            qualities[centering] = fixed.judged
            if best is None or fixed.judged.rank > best.rounds[0].judged.rank:
                best = Start(whole, ahead, folds_ahead, [fixed])
            del ahead, folds_ahead  # the images of what was not kept
    return best, qualities
