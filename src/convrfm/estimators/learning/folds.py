"""The folds of a cross-validation, each with a metric of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...maths.random_filters import RandomFeatures
from ..solving.solver import LearnableKernel, Metric, Watch
from .problem import Problem
from .progress import within


@dataclass(frozen=True, eq=False)
class FoldRound:
    """What a fold needs of a round to go on from it.

    Attributes:
        metric: the fold's own; None at round 0, for the identity.
        agop_coef: the coefficients that feed its next AGOP.
    """

    metric: Metric
    agop_coef: Float[Tensor, "j k"]


@dataclass(frozen=True, eq=False)
class AdvancedFold:
    """A fold after one more round, before its ridge is chosen.

    Attributes:
        metric: its own; None for the identity.
        coef_by_ridge: the coefficients with every ridge.
        outputs: for every ridge, those for the images that it holds out.
    """

    metric: Metric
    coef_by_ridge: Sequence[Float[Tensor, "j k"]]
    outputs: Sequence[Float[Tensor, "s k"]]


@dataclass(frozen=True, eq=False)
class Fold:
    """A problem without some of its images, which goes through the same rounds, metric and all.

    Attributes:
        problem: without these images, which are its selection.
        held_out: their numbers in the whole.
    """

    problem: Problem
    held_out: Int[Tensor, " s"]

    @classmethod
    def of(cls, whole: Problem, held_out: Int[Tensor, " s"]) -> "Fold":
        """The fold that holds these images out."""
        return cls(whole.without(held_out), held_out)

    def advance(self, metric: Metric, watch: Watch) -> AdvancedFold:
        """One more round under the fold's own metric; `watch` is told of progress."""
        problem = self.problem
        path = problem.path(metric, watch)
        coef_by_ridge = problem.coefficients(path, problem.ridges)
        return AdvancedFold(metric, coef_by_ridge, problem.selection_outputs(metric, path, watch))

    def through(self, features: RandomFeatures, kernel: LearnableKernel) -> "Fold":
        """The fold of the next layer's problem."""
        return Fold(self.problem.through(features, kernel), self.held_out)


def watch_of_fold(number: int, folds: Sequence[Fold], watch: Watch) -> Watch:
    """What is told of one fold's progress."""
    return within(f"fold {number + 1}/{len(folds)}", watch)


def held_out_outputs(
    problem: Problem, folds: Sequence[Fold], advanced: Sequence[AdvancedFold]
) -> list[Float[Tensor, "n k"]]:
    """For every ridge, the outputs for all images, each from the fold that holds it out."""
    outputs = [torch.zeros_like(problem.y) for _ in problem.ridges]
    for fold, after in zip(folds, advanced, strict=True):
        for whole, part in zip(outputs, after.outputs, strict=True):
            whole[fold.held_out] = part
    return outputs
