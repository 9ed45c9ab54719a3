"""Algorithm 1 of the paper: rounds of kernel ridge regression and of learning the patch metric from its AGOP."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import InputError
from ..maths.calibration import temperature
from ..maths.psd import psd_power, scale_to_trace
from ..maths.random_filters import RandomFeatures
from ..solvers.exact import RidgePath
from .judge import Judge
from .problem import LearnableKernel, Metric, Problem, Watch
from .progress import within
from .targets import Quality, quality


@dataclass(frozen=True, eq=False)
class Round:
    """One fitted kernel machine, how good it is, and the coefficients that feed the next round's AGOP.

    Attributes:
        judge: what ridge and round are chosen by: leave-one-out, cross-validation or a selection set.
        path: how good the round is by that, with every ridge it could have had.
        temperature: of the class probabilities, by the judge's outputs; None for regression.
        amplitude: variance of every output as a Gaussian process.
    """

    iteration: int
    feature_matrix: Float[Tensor, "d d"]
    dual_coef: Float[Tensor, "n k"]
    agop_coef: Float[Tensor, "n k"]
    ridge: float
    train: Quality
    loo: Quality
    judge: Judge
    path: Mapping[float, Quality]
    temperature: float | None
    amplitude: Float[Tensor, " k"]
    seconds: float

    @property
    def judged(self) -> Quality:
        """How good the round is by its judge."""
        return self.path[self.ridge]

    @property
    def metric(self) -> Metric:
        """What the kernel takes: None at round 0, where it saves the products with the identity."""
        return None if self.iteration == 0 else self.feature_matrix


class Fold:
    """The rounds of a problem without some of its images, metric and all, in step with the rounds of the whole."""

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
            metric = learned_metric(problem, self.metrics[-1], coef, watch)
        path = _path(problem, metric, watch)
        self.metrics.append(metric)
        self._coef_by_ridge = [path.dual_coef(ridge).to(problem.x) for ridge in problem.ridges]
        return _selection_outputs(problem, metric, path, watch)

    def metric_of(self, round_: Round) -> Float[Tensor, "d d"]:
        """The fold's own metric in this round of the whole."""
        own = self.metrics[round_.iteration]
        return round_.feature_matrix if own is None else own

    def through(self, features: RandomFeatures, kernel: LearnableKernel) -> "Fold":
        """The fold of the next layer's problem, from its fixed kernel on."""
        return Fold(self.problem.through(features, kernel), self.held_out)


def fit_round(problem: Problem, previous: Round | None, folds: Sequence[Fold], watch: Watch) -> Round:
    """One round: the metric from the previous predictor's AGOP (the identity at first), then ridge regression.

    Ridge (and later the round) is judged by the held-out images of the folds, where there are any, otherwise by the
    selection set, otherwise by leave-one-out.
    """
    start = time.perf_counter()
    metric = None if previous is None else learned_metric(problem, previous.metric, previous.agop_coef, watch)
    path = _path(problem, metric, watch)
    judge = _judge(problem, folds)
    targets, weights = problem.y, problem.weights
    if judge is Judge.CROSS_VALIDATION:
        outputs = _cross_validated(
            problem, folds, None if previous is None else _agop_ridge(problem, previous.ridge), watch
        )
    elif judge is Judge.SELECTION:
        assert problem.selection is not None
        outputs, targets, weights = _selection_outputs(problem, metric, path, watch), problem.selection[1], None
    else:
        outputs = path.leave_one_out(problem.ridges, problem.groups)
    judged = [quality(o, targets, weights, classify=problem.classify) for o in outputs]
    at = max(range(len(problem.ridges)), key=lambda i: (judged[i].rank, problem.ridges[i]))
    ridge = problem.ridges[at]
    left_out = outputs[at] if judge is Judge.LEAVE_ONE_OUT else path.leave_one_out([ridge], problem.groups)[0]
    dual_coef = path.dual_coef(ridge).to(problem.x)
    feeding = _agop_ridge(problem, ridge)
    return Round(
        iteration=0 if previous is None else previous.iteration + 1,
        feature_matrix=torch.eye(problem.patch_entries).to(problem.x) if metric is None else metric,
        dual_coef=dual_coef,
        agop_coef=dual_coef if feeding == ridge else path.dual_coef(feeding).to(problem.x),
        ridge=ridge,
        train=quality(path.fitted(ridge), problem.y, problem.weights, classify=problem.classify),
        loo=quality(left_out, problem.y, problem.weights, classify=problem.classify),
        judge=judge,
        path=dict(zip(problem.ridges, judged, strict=True)),
        temperature=temperature(outputs[at], targets, weights) if problem.classify else None,
        amplitude=path.amplitude(ridge, problem.groups).to(problem.x),
        seconds=time.perf_counter() - start,
    )


def best_round(rounds: Sequence[Round]) -> Round:
    """The best by its judge; ties go to the earlier round."""
    return max(rounds, key=lambda r: (r.judged.rank, -r.iteration))


def record_of(round_: Round) -> dict[str, Any]:
    """The round as plain values: a line of `history_`."""
    record: dict[str, Any] = {"iteration": round_.iteration, "ridge": round_.ridge, "judge": round_.judge.value}
    for name, measured in {"loo": round_.loo, "train": round_.train, round_.judge.value: round_.judged}.items():
        record |= {f"{name}_{figure}": value for figure, value in measured.figures.items()}
    record["path"] = [{"ridge": ridge, **measured.figures} for ridge, measured in round_.path.items()]
    if round_.temperature is not None:
        record["temperature"] = round_.temperature
    return record | {"seconds": round_.seconds}


def round_from_record(
    record: dict[str, Any],
    feature_matrix: Float[Tensor, "d d"],
    dual_coef: Float[Tensor, "n k"],
    agop_coef: Float[Tensor, "n k"],
    amplitude: Float[Tensor, " k"],
) -> Round:
    """The round of which `record_of` made a record."""

    def measured(name: str) -> Quality:
        return Quality(record.get(f"{name}_accuracy"), record[f"{name}_error"])

    path = {at["ridge"]: Quality.from_figures(at) for at in record["path"]}
    if record["ridge"] not in path:
        raise ValueError(f"the ridge {record['ridge']!r} of a round is not on its path")
    return Round(
        iteration=record["iteration"],
        feature_matrix=feature_matrix,
        dual_coef=dual_coef,
        agop_coef=agop_coef,
        ridge=record["ridge"],
        train=measured("train"),
        loo=measured("loo"),
        judge=Judge(record["judge"]),
        path=path,
        temperature=record.get("temperature"),
        amplitude=amplitude,
        seconds=record["seconds"],
    )


def learned_metric(problem: Problem, metric: Metric, coef: Float[Tensor, "n k"], watch: Watch) -> Float[Tensor, "d d"]:
    """The next round's metric, from the AGOP of the predictor with these coefficients."""
    indices = problem.agop_indices
    x, weights = problem.x, problem.weights
    if indices is not None:
        x, weights = x[indices], None if weights is None else weights[indices]
    agop = problem.kernel.agop(x, problem.x, coef, feature_matrix=metric, weights=weights, progress=watch("AGOP"))
    trace = float(problem.patch_entries) if problem.feature_trace is None else problem.feature_trace
    learned = psd_power(agop.double(), 2 * problem.feature_power)
    if not 0 < float(learned.trace()) < float("inf"):
        raise InputError(
            f"the average gradient outer product to the power {2 * problem.feature_power:g} is {float(learned.trace()):g}: "
            "nothing can be learned from it. Check that the images differ, that neither the ridge nor feature_power is "
            "enormous, and rescale very small or very large images."
        )
    return scale_to_trace(learned, trace).to(problem.x)


def _path(problem: Problem, metric: Metric, watch: Watch) -> RidgePath:
    kernel_matrix = problem.kernel(problem.x, feature_matrix=metric, progress=watch("kernel"))
    return RidgePath(kernel_matrix, problem.y, problem.weights)


def _judge(problem: Problem, folds: Sequence[Fold]) -> Judge:
    if folds:
        return Judge.CROSS_VALIDATION
    return Judge.LEAVE_ONE_OUT if problem.selection is None else Judge.SELECTION


def _agop_ridge(problem: Problem, chosen: float) -> float:
    return problem.ridges[-1] if problem.agop_ridge == "last" else chosen


def _selection_outputs(problem: Problem, metric: Metric, path: RidgePath, watch: Watch) -> list[Float[Tensor, "s k"]]:
    """For every ridge, the outputs for the selection images."""
    assert problem.selection is not None
    images = problem.selection[0]
    meeting = problem.kernel(images, problem.x, feature_matrix=metric, progress=watch("selection kernel")).double()
    return [meeting @ path.dual_coef(ridge) for ridge in problem.ridges]


def _cross_validated(
    problem: Problem, folds: Sequence[Fold], agop_ridge: float | None, watch: Watch
) -> list[Float[Tensor, "n k"]]:
    """For every ridge, the outputs for all images, each from the fold that holds it out."""
    outputs = [torch.zeros_like(problem.y) for _ in problem.ridges]
    for number, fold in enumerate(folds, 1):
        held_out = fold.advance(agop_ridge, within(f"fold {number}/{len(folds)}", watch))
        for whole, part in zip(outputs, held_out, strict=True):
            whole[fold.held_out] = part
    return outputs
