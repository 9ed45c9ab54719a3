"""The folds of a cross-validation, each with a metric of its own."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..maths.random_filters import RandomFeatures
from .problem import LearnableKernel, Metric, Problem, Watch
from .progress import within


class Fold:
    """The rounds of a problem without some of its images, metric and all, in step with the rounds of the whole.

    Args:
        problem: without these images, which are its selection.
        held_out: their numbers in the whole.
    """

    def __init__(self, problem: Problem, held_out: Int[Tensor, " s"]) -> None:
        self.problem = problem
        self.held_out = held_out
        self.metrics: list[Metric] = []
        self._coef_by_ridge: list[Tensor] = []

    @classmethod
    def of(cls, whole: Problem, held_out: Int[Tensor, " s"]) -> "Fold":
        """The fold that holds these images out."""
        return cls(whole.without(held_out), held_out)

    def advance(self, agop_ridge: float | None, watch: Watch) -> list[Float[Tensor, "s k"]]:
        """One more round; for every ridge the outputs for the held-out images.

        Args:
            agop_ridge: whose coefficients of the round before feed the AGOP; None for the fixed kernel.
            watch: is told of progress.
        """
        problem = self.problem
        metric = None
        if agop_ridge is not None:
            coef = self._coef_by_ridge[list(problem.ridges).index(agop_ridge)]
            metric = problem.learned_metric(self.metrics[-1], coef, watch)
        path = problem.path(metric, watch)
        self.metrics.append(metric)
        self._coef_by_ridge = [problem.coefficients(path, ridge) for ridge in problem.ridges]
        return problem.selection_outputs(metric, path, watch)

    def metric_of(self, iteration: int) -> Metric:
        """The fold's own metric in this round."""
        return self.metrics[iteration]

    def through(self, features: RandomFeatures, kernel: LearnableKernel) -> "Fold":
        """The fold of the next layer's problem, from its fixed kernel on."""
        return Fold(self.problem.through(features, kernel), self.held_out)


def cross_validated(
    problem: Problem, folds: Sequence[Fold], agop_ridge: float | None, watch: Watch
) -> list[Float[Tensor, "n k"]]:
    """One more round of every fold; for every ridge, the outputs for all images, each from the fold that holds it out."""
    outputs = [torch.zeros_like(problem.y) for _ in problem.ridges]
    for number, fold in enumerate(folds, 1):
        held_out = fold.advance(agop_ridge, within(f"fold {number}/{len(folds)}", watch))
        for whole, part in zip(outputs, held_out, strict=True):
            whole[fold.held_out] = part
    return outputs
