"""Algorithm 2 of the paper: layer by layer, the rounds of Algorithm 1, then random features drawn from the metric."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..maths.random_filters import Activation, Centring, RandomFeatures, random_filters
from ..maths.windows import Window
from .problem import LearnableKernel, Problem, Watch
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
        centrings: how good the next layer's fixed kernel is, by its judge, with each way of centring the features.
    """

    kernel: LearnableKernel
    keep: Keep
    rounds: list[Round] = field(default_factory=list)
    features: RandomFeatures | None = None
    centrings: dict[Centring, Quality] = field(default_factory=dict)

    @property
    def kept(self) -> Round:
        """The round whose metric and coefficients this layer keeps."""
        return self.rounds[-1] if self.keep == "last" else best_round(self.rounds)

    @property
    def centring_records(self) -> list[dict[str, Any]]:
        """`centrings` as plain values."""
        return [{"centring": centring, **judged.figures} for centring, judged in self.centrings.items()]

    def led_on_by(self, drawn: RandomFeatures, centrings: Sequence[Centring]) -> RandomFeatures | None:
        """What led on from this layer, where that is these features, centred in the best of these ways."""
        features = self.features
        if features is None or features.activation != drawn.activation or tuple(self.centrings) != tuple(centrings):
            return None
        return features if torch.equal(features.filters, drawn.filters) else None


def records_by_layer(layers: Sequence[Layer]) -> list[list[dict[str, Any]]]:
    """Every round of every layer as plain values; at round 0 also what each way of centring the images reached."""
    records = [[record_of(round_) for round_ in layer.rounds] for layer in layers]
    for before, after in zip(layers, records[1:], strict=False):
        after[0]["centrings"] = before.centring_records
    return records


@dataclass(frozen=True)
class FilterDraw:
    """How the filters between layers are drawn.

    Attributes:
        n_filters: how many.
        activation: what follows them.
        centrings: the ways of subtracting each channel's mean over training images and positions, of which the best is
            kept.
        seeds: one for each layer.
    """

    n_filters: int
    activation: Activation
    centrings: Sequence[Centring]
    seeds: Sequence[np.random.SeedSequence]

    def features(self, layer: int, feature_matrix: Float[Tensor, "d d"], window: Window) -> RandomFeatures:
        """What leads from this layer with its metric M to the next, before it is centred."""
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
            known = None if before is None else before.led_on_by(drawn, draw.centrings)
            if before is not None and known is not None:
                layer.features, layer.centrings = known, before.centrings
                problem, rounds = problem.through(known, kernels[number + 1]), []
            else:
                earlier = ()  # further layers rest on other images
                features = [
                    drawn,
                    *(draw.features(number, fold.metric_of(layer.kept), kernel.window) for fold in folds),
                ]
                starts: list[Start] = []  # the best one and the one being tried: their images take memory
                for centring in draw.centrings:
                    progress = watch(f"layer {number + 2}/{len(kernels)}, round 0/{n_iterations}, centring {centring}")
                    start = start_through(centring, features, problem, folds, kernels[number + 1], progress)
                    if start is not None:
                        layer.centrings[centring] = start.rounds[0].judged
                        starts = [max([*starts, start], key=lambda s: s.rounds[0].judged.rank)]
                if not starts:
                    raise InputError(
                        f'centring="{centring}" leaves nothing of the features that layer {number + 1} puts out, as it does '
                        "where there is but one filter. Pass more of them, or another centring."
                    )
                layer.features, problem, folds, rounds = starts[0]


class Start(NamedTuple):
    """Where a layer starts: what leads there, its problem and the folds of it, and its fixed kernel."""

    features: RandomFeatures
    problem: Problem
    folds: Sequence[Fold]
    rounds: list[Round]


def start_through(
    centring: Centring,
    features: Sequence[RandomFeatures],
    problem: Problem,
    folds: Sequence[Fold],
    kernel: LearnableKernel,
    watch: Watch,
) -> Start | None:
    """The next layer's start; None where centring leaves nothing.

    Args:
        centring: of the features, for the whole problem and each fold by its own images.
        features: those of the whole problem, then those of each fold, not centred.
        problem: that of this layer.
        folds: those of this layer.
        kernel: of the next layer.
        watch: is told of progress.
    """
    problems = [problem, *(fold.problem for fold in folds)]
    whole, *own = (f.centred(centring, p.x, p.weights) for f, p in zip(features, problems, strict=True))
    ahead = problem.through(whole, kernel)
    if whole.leaves_nothing:
        return None
    folds_ahead = [fold.through(f, kernel) for fold, f in zip(folds, own, strict=True)]
    return Start(whole, ahead, folds_ahead, [fit_round(ahead, None, folds_ahead, watch)])
