"""Algorithm 1 of the paper: rounds of kernel ridge regression and of learning the patch metric from its AGOP."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..maths.psd import psd_power, scale_to_trace
from ..maths.windows import Window
from ..solvers.exact import RidgePath
from .targets import Quality, quality

Images = Float[Tensor, "n c h w"]


@runtime_checkable
class PatchKernel(Protocol):
    """A kernel on images with a metric on their patches."""

    @property
    def window(self) -> Window:
        """The window that cuts an image into patches."""

    def __call__(self, x, z=None, *, feature_matrix=None, progress=None):  # type: ignore[no-untyped-def]
        """The kernel matrix `(n, m)`."""

    def agop(self, x, z, dual_coef, *, feature_matrix=None, progress=None):  # type: ignore[no-untyped-def]
        """The average gradient outer product over patches `(d, d)`."""


@dataclass(frozen=True, eq=False)
class Round:
    """One fitted kernel machine, how good it is, and the coefficients that feed the next round's AGOP."""

    iteration: int
    feature_matrix: Float[Tensor, "d d"]
    dual_coef: Float[Tensor, "n k"]
    agop_coef: Float[Tensor, "n k"]
    ridge: float
    train: Quality
    loo: Quality
    selection: Quality | None
    seconds: float

    @property
    def chosen_by(self) -> Quality:
        """What rounds are compared by: the selection set where one was given, otherwise leave-one-out."""
        return self.loo if self.selection is None else self.selection


@dataclass(frozen=True, eq=False)
class Problem:
    """What all rounds share.

    Attributes:
        kernel: the kernel.
        x: training images.
        y: targets `(n, k)`.
        classify: whether accuracy counts.
        ridges: candidates, in the order given.
        agop_images: the images at which gradients are taken.
        agop_ridge: "chosen", or "last": the coefficients of the last candidate feed the AGOP (code-2023).
        feature_power: patches are multiplied by M to this power.
        feature_trace: the trace of the metric; None for d.
        selection: images and targets on which ridge and round are chosen in place of leave-one-out.
    """

    kernel: PatchKernel
    x: Images
    y: Float[Tensor, "n k"]
    classify: bool
    ridges: Sequence[float]
    agop_images: Float[Tensor, "m c h w"]
    agop_ridge: Literal["chosen", "last"]
    feature_power: float
    feature_trace: float | None
    selection: tuple[Float[Tensor, "s c h w"], Float[Tensor, "s k"]] | None


Watch = Callable[[str], Callable[[int, int], None] | None]


def fit_round(problem: Problem, previous: Round | None, watch: Watch) -> Round:
    """One round: the metric from the previous predictor's AGOP (the identity at first), then ridge regression."""
    start = time.perf_counter()
    metric = None if previous is None else _learned_metric(problem, previous, watch)
    kernel_matrix = problem.kernel(problem.x, feature_matrix=metric, progress=watch("kernel"))
    path = RidgePath(kernel_matrix, problem.y)
    left_out = [
        quality(outputs, problem.y, classify=problem.classify) for outputs in path.leave_one_out(problem.ridges)
    ]
    selected: list[Quality] | None = None
    if problem.selection is not None:
        images, targets = problem.selection
        meeting = problem.kernel(images, problem.x, feature_matrix=metric, progress=watch("selection kernel")).double()
        outputs_by_ridge = (meeting @ path.dual_coef(ridge) for ridge in problem.ridges)
        selected = [quality(outputs, targets, classify=problem.classify) for outputs in outputs_by_ridge]
    judged = left_out if selected is None else selected
    at = max(range(len(problem.ridges)), key=lambda i: (judged[i].rank, problem.ridges[i]))
    ridge = problem.ridges[at]
    return Round(
        iteration=0 if previous is None else previous.iteration + 1,
        feature_matrix=torch.eye(_patch_entries(problem)).to(problem.x) if metric is None else metric,
        dual_coef=path.dual_coef(ridge).to(problem.x),
        agop_coef=path.dual_coef(problem.ridges[-1] if problem.agop_ridge == "last" else ridge).to(problem.x),
        ridge=ridge,
        train=quality(path.fitted(ridge), problem.y, classify=problem.classify),
        loo=left_out[at],
        selection=None if selected is None else selected[at],
        seconds=time.perf_counter() - start,
    )


def best_round(rounds: Sequence[Round]) -> Round:
    """The best by `chosen_by`; ties go to the earlier round."""
    return max(rounds, key=lambda r: (r.chosen_by.rank, -r.iteration))


def record_of(round_: Round) -> dict[str, Any]:
    """The round as plain values: a line of `history_`."""
    record: dict[str, Any] = {"iteration": round_.iteration, "ridge": round_.ridge}
    for name in ("loo", "train", "selection"):
        measured: Quality | None = getattr(round_, name)
        if measured is not None:
            record[f"{name}_error"] = measured.error
            if measured.accuracy is not None:
                record[f"{name}_accuracy"] = measured.accuracy
    return record | {"seconds": round_.seconds}


def round_from_record(
    record: dict[str, Any], feature_matrix: Float[Tensor, "d d"], dual_coef: Float[Tensor, "n k"]
) -> Round:
    """The round of which `record_of` made a record, for predictions; the AGOP's coefficients are not kept."""

    def measured(name: str) -> Quality:
        return Quality(record.get(f"{name}_accuracy"), record[f"{name}_error"])

    return Round(
        iteration=record["iteration"],
        feature_matrix=feature_matrix,
        dual_coef=dual_coef,
        agop_coef=dual_coef,
        ridge=record["ridge"],
        train=measured("train"),
        loo=measured("loo"),
        selection=measured("selection") if "selection_error" in record else None,
        seconds=record["seconds"],
    )


def _learned_metric(problem: Problem, previous: Round, watch: Watch) -> Float[Tensor, "d d"]:
    metric = None if previous.iteration == 0 else previous.feature_matrix
    agop = problem.kernel.agop(
        problem.agop_images, problem.x, previous.agop_coef, feature_matrix=metric, progress=watch("AGOP")
    )
    trace = float(_patch_entries(problem)) if problem.feature_trace is None else problem.feature_trace
    learned = psd_power(agop.double(), 2 * problem.feature_power)
    if not 0 < float(learned.trace()) < float("inf"):
        raise InputError(
            f"the average gradient outer product to the power {2 * problem.feature_power:g} is {float(learned.trace()):g}: "
            "nothing can be learned from it. Check that the images differ, that neither the ridge nor feature_power is "
            "enormous, and rescale very small or very large images."
        )
    return scale_to_trace(learned, trace).to(problem.x)


def _patch_entries(problem: Problem) -> int:
    return problem.x.shape[1] * problem.kernel.window.size**2
