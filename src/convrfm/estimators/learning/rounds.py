"""Algorithm 1 of the paper: rounds of kernel ridge regression and of learning the patch metric from its AGOP."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from ...maths.calibration import temperature
from ..given.targets import Quality, quality
from ..solving.solver import Metric, Watch
from .folds import Fold, FoldRound, held_out_outputs, watch_of_fold
from .judge import Judge
from .problem import Problem


@dataclass(frozen=True, eq=False)
class Round:
    """One fitted kernel machine, how good it is, and the coefficients that feed the next round's AGOP.

    Attributes:
        iteration: how many updates of the metric came before.
        metric: M, as the kernel takes it: None for the identity.
        patch_entries: d, the entries of a patch.
        coef: of the kernel at the training images under that metric, or of its random features.
        intercept: what predictions have besides; None for nothing.
        agop_coef: those that feed the next round's AGOP.
        ridge: the regression's.
        train: how good the round is on the training images.
        loo: how good it is by leave-one-out; without an accuracy where that is estimated (`Path.estimated`).
        judge: what ridge and round are chosen by.
        path: how good the round is by that, with every ridge it could have had.
        temperature: of the class probabilities, by the judge's outputs; 1 for regression, which has none.
        amplitude: variance of every output as a Gaussian process.
        seconds: what the round took.
        shrinkage: how far the update of the metric stayed with the one before; see `Problem.shrunk`.
        folds: what every fold needs to go on from it, while a layer may; none without folds.
    """

    iteration: int
    metric: Metric
    patch_entries: int
    coef: Float[Tensor, "j k"]
    intercept: Float[Tensor, " k"] | None
    agop_coef: Float[Tensor, "j k"]
    ridge: float
    train: Quality
    loo: Quality
    judge: Judge
    path: Mapping[float, Quality]
    temperature: float
    amplitude: Float[Tensor, " k"]
    seconds: float
    shrinkage: float = 0.0
    folds: tuple[FoldRound, ...] = ()

    def without_folds(self) -> "Round":
        """The same, from which no fold can go on."""
        return replace(self, folds=()) if self.folds else self

    @property
    def judged(self) -> Quality:
        """How good the round is by its judge."""
        return self.path[self.ridge]

    @property
    def feature_matrix(self) -> Float[Tensor, "d d"]:
        """M as a matrix, made anew where it is the identity."""
        return torch.eye(self.patch_entries).to(self.coef) if self.metric is None else self.metric


def fit_rounds(
    problem: Problem,
    finished: Sequence[Round],
    n_iterations: int,
    folds: Sequence[Fold],
    watch: Callable[[str], Watch],
) -> Iterator[Round]:
    """Round by round: those that are finished, then those that are still missing of `n_iterations` + 1."""
    yield from finished
    previous = finished[-1] if finished else None
    for iteration in range(len(finished), n_iterations + 1):
        previous = fit_round(problem, previous, folds, watch(f"round {iteration}/{n_iterations}"))
        yield previous


def fit_round(problem: Problem, previous: Round | None, folds: Sequence[Fold], watch: Watch) -> Round:
    """One round: the metric from the previous predictor's AGOP (the initial one at first), then ridge regression.

    Ridge, shrinkage of the update (and later the round) are judged by the held-out images of the folds, where there are any,
    otherwise by the selection set, otherwise by leave-one-out. Every fold learns its own metric. Of equally good shrinkages the
    larger one is taken.
    """
    start = time.perf_counter()
    with problem.threads():
        best = _best_of(problem, previous, folds, watch)
    return replace(best, seconds=time.perf_counter() - start)


def _best_of(problem: Problem, previous: Round | None, folds: Sequence[Fold], watch: Watch) -> Round:
    """The round with the shrinkage that its judge finds best."""
    problems = [problem, *(fold.problem for fold in folds)]
    if previous is None:
        return _round_under([each.first_metric() for each in problems], problem, folds, watch)
    before = [(previous.metric, previous.agop_coef), *((fold.metric, fold.agop_coef) for fold in previous.folds)]
    watches = [watch, *(watch_of_fold(number, folds, watch) for number in range(len(folds)))]
    learned = [each.learned_metric(*earlier, at) for each, earlier, at in zip(problems, before, watches, strict=True)]

    def shrunk_by(amount: float) -> Round:
        metrics = [problem.shrunk(own, metric, amount) for own, (metric, _) in zip(learned, before, strict=True)]
        fitted = _round_under(metrics, problem, folds, watch)
        return replace(fitted, iteration=previous.iteration + 1, shrinkage=amount)

    return max(map(shrunk_by, problem.shrinkages), key=lambda fitted: (fitted.judged.rank, fitted.shrinkage))


def _round_under(metrics: Sequence[Metric], problem: Problem, folds: Sequence[Fold], watch: Watch) -> Round:
    """The regression under a metric, and every fold's under its own."""
    metric, *of_folds = metrics
    advanced = [  # before the whole, whose matrix would lie beside each of theirs
        fold.advance(own, watch_of_fold(number, folds, watch))
        for number, (fold, own) in enumerate(zip(folds, of_folds, strict=True))
    ]
    path = problem.path(metric, watch)
    targets, weights = problem.y, problem.weights
    if folds:
        judge = Judge.CROSS_VALIDATION
        outputs = held_out_outputs(problem, folds, advanced)
    elif problem.selection is not None:
        judge = Judge.SELECTION
        outputs, targets, weights = problem.selection_outputs(metric, path, watch), problem.selection[1], None
    else:
        judge = Judge.LEAVE_ONE_OUT
        outputs = path.leave_one_out(problem.ridges)
    counted = problem.classify and not path.estimated  # accuracies of images that are left out
    classify = counted if judge is Judge.LEAVE_ONE_OUT else problem.classify
    judged = [quality(o, targets, weights, classify=classify) for o in outputs]
    at = max(range(len(problem.ridges)), key=lambda i: (judged[i].rank, problem.ridges[i]))
    ridge = problem.ridges[at]
    left_out = outputs[at] if judge is Judge.LEAVE_ONE_OUT else path.leave_one_out([ridge])[0]
    feeding = problem.feeding_ridge(ridge)
    coef, *others = problem.coefficients(path, [ridge] if feeding == ridge else [ridge, feeding])
    return Round(
        iteration=0,
        metric=metric,
        patch_entries=problem.patch_entries,
        coef=coef,
        intercept=problem.intercept(path),
        agop_coef=others[0] if others else coef,
        ridge=ridge,
        train=quality(path.fitted(ridge), problem.y, problem.weights, classify=problem.classify),
        loo=quality(left_out, problem.y, problem.weights, classify=counted),
        judge=judge,
        path=dict(zip(problem.ridges, judged, strict=True)),
        temperature=temperature(outputs[at], targets, weights) if problem.classify else 1.0,
        amplitude=path.amplitude(ridge),
        seconds=0.0,
        folds=tuple(
            FoldRound(fold.metric, fold.coef_by_ridge[list(problem.ridges).index(feeding)]) for fold in advanced
        ),
    )


def best_round(rounds: Sequence[Round]) -> Round:
    """The best by its judge; ties go to the earlier round."""
    return max(rounds, key=lambda r: (r.judged.rank, -r.iteration))
