"""Algorithm 1 of the paper: rounds of kernel ridge regression and of learning the patch metric from its AGOP."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

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
    meets_selection = None
    if problem.selection is not None:
        meets_selection = problem.kernel(
            problem.selection[0], problem.x, feature_matrix=metric, progress=watch("selection kernel")
        ).double()

    def selected(ridge: float) -> Quality | None:
        if problem.selection is None or meets_selection is None:
            return None
        predictions = meets_selection @ path.dual_coef(ridge)
        return quality(predictions, problem.selection[1], classify=problem.classify)

    def left_out(ridge: float) -> Quality:
        return quality(path.leave_one_out(ridge), problem.y, classify=problem.classify)

    judged = {ridge: selected(ridge) or left_out(ridge) for ridge in problem.ridges}
    ridge = max(judged, key=lambda r: (judged[r].rank, r))
    return Round(
        iteration=0 if previous is None else previous.iteration + 1,
        feature_matrix=torch.eye(_patch_entries(problem)).to(problem.x) if metric is None else metric,
        dual_coef=path.dual_coef(ridge).to(problem.x),
        agop_coef=path.dual_coef(problem.ridges[-1] if problem.agop_ridge == "last" else ridge).to(problem.x),
        ridge=ridge,
        train=quality(path.fitted(ridge), problem.y, classify=problem.classify),
        loo=left_out(ridge),
        selection=selected(ridge),
        seconds=time.perf_counter() - start,
    )


def best_round(rounds: Sequence[Round]) -> Round:
    """The best by `chosen_by`; ties go to the earlier round."""
    return max(rounds, key=lambda r: (r.chosen_by.rank, -r.iteration))


def _learned_metric(problem: Problem, previous: Round, watch: Watch) -> Float[Tensor, "d d"]:
    metric = None if previous.iteration == 0 else previous.feature_matrix
    agop = problem.kernel.agop(
        problem.agop_images, problem.x, previous.agop_coef, feature_matrix=metric, progress=watch("AGOP")
    )
    trace = float(_patch_entries(problem)) if problem.feature_trace is None else problem.feature_trace
    return scale_to_trace(psd_power(agop.double(), 2 * problem.feature_power), trace).to(problem.x)


def _patch_entries(problem: Problem) -> int:
    return problem.x.shape[1] * problem.kernel.window.size**2
