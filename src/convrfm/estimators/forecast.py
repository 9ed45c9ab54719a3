"""How long a fit will take and how much memory, before it starts."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from .plan import Plan
from .problem import Images, LearnableKernel, Metric, Problem
from .starts import FilterDraw

LONG_FIT_SECONDS = 30.0
WORTH_A_FORECAST = 5e8  # pairs of images, times their pixels, in all rounds
SMALLEST_LEFT, SMALLEST_RIGHT, LARGEST_SAMPLE = 8, 32, 512  # images; compiled code takes them side by side
LONG_ENOUGH = 0.1  # seconds
REPEATS = 2
EIGENDECOMPOSITION = {"cpu": 3e-10, "cuda": 2e-12}  # seconds, times n^3: two cores, an H200


@dataclass(frozen=True)
class Forecast:
    """Seconds and bytes of a whole fit."""

    seconds: float
    bytes: int

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds), 60)
        hours, minutes = divmod(minutes, 60)
        duration = f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        memory = f"{self.bytes / 2**30:.1f} GiB" if self.bytes >= 2**30 else f"{self.bytes / 2**20:.0f} MiB"
        return f"about {duration} and {memory}"


def announce(plan: Plan, problem: Problem, *, n_folds: int, verbose: bool) -> None:
    """Say how long a long fit will take, before it starts; any fit where `verbose`.

    Args:
        plan: what is to be fitted.
        problem: that of the first layer.
        n_folds: of cross-validation; 0 for none.
        verbose: whether short fits are announced too.
    """
    n = len(problem.x)
    if not verbose and plan.n_rounds * (1 + n_folds) * n**2 * problem.x[0, 0].numel() < WORTH_A_FORECAST:
        return
    forecasts = [
        forecast(
            kernels,
            plan.draw,
            problem.x,
            outputs=problem.y.shape[1],
            n_iterations=plan.n_iterations,
            agop_images=n if problem.agop_indices is None else len(problem.agop_indices),
            n_folds=n_folds,
        )
        for kernels in plan.candidates
    ]
    expected = Forecast(sum(each.seconds for each in forecasts), max(each.bytes for each in forecasts))
    if verbose or expected.seconds > LONG_FIT_SECONDS:
        folds = f", each in {n_folds} folds as well," if n_folds else ""
        print(f"fitting {plan.n_rounds} rounds{folds} on {n} images: {expected} (estimated)", file=sys.stderr)


def forecast(
    kernels: Sequence[LearnableKernel],
    draw: FilterDraw,
    x: Images,
    *,
    outputs: int,
    n_iterations: int,
    agop_images: int,
    n_folds: int,
) -> Forecast:
    """Measure some pairs of images in every layer and extrapolate.

    Kernels take n^2 / 2 pairs, AGOPs n times the images at which gradients are taken. What each image costs beside its pairs
    is told apart: with many outputs or channels it is most of a small sample. The eigendecomposition grows as n^3; all of
    them count once more for every fold. Memory is K and its decomposition, six matrices of n^2 numbers in double precision,
    and three times a layer's images while one is drawn.

    Args:
        kernels: one for each layer.
        draw: how filters between layers are drawn.
        x: the training images.
        outputs: how many.
        n_iterations: updates of M in each layer.
        agop_images: the number of images at which gradients are taken.
        n_folds: of cross-validation; 0 for none.
    """
    n, seconds, layer_bytes = len(x), 0.0, 0
    few = x[:LARGEST_SAMPLE]
    for number, kernel in enumerate(kernels):
        metric = torch.eye(few.shape[1] * kernel.window.size**2).to(few)
        fixed = 1 if number == 0 else len(draw.centerings)
        seconds += fixed * _round_seconds(kernel, few, n, None)
        if n_iterations:
            coef = few.new_ones(len(few), outputs)
            gradients = _measured_cost(
                lambda x, z: kernel.agop(x, z, coef[: len(z)], feature_matrix=metric),  # noqa: B023 (called at once)
                few,
            )
            seconds += n_iterations * (gradients.seconds(agop_images, n) + _round_seconds(kernel, few, n, metric))
        if number + 1 < len(kernels):
            few = draw.features(number, metric, kernel.window)(few)
            layer_bytes = max(layer_bytes, 3 * n * few[0].numel() * few.element_size())
    return Forecast((1 + n_folds) * seconds, 6 * n * n * 8 + (1 + n_folds) * layer_bytes)


def _round_seconds(kernel: LearnableKernel, few: Images, n: int, metric: Metric) -> float:
    """A kernel matrix, of which one half mirrors the other, and its eigendecomposition."""
    cost = _measured_cost(lambda x, z: kernel(x, z, feature_matrix=metric), few)
    decomposition = EIGENDECOMPOSITION.get(few.device.type, EIGENDECOMPOSITION["cpu"])
    return (cost.left + cost.right) * n + cost.pair * n**2 / 2 + decomposition * n**3


class _Cost(NamedTuple):
    """Seconds for each image on the left, for each on the right, and for each pair of them."""

    left: float
    right: float
    pair: float

    def seconds(self, n_left: int, n_right: int) -> float:
        return self.left * n_left + self.right * n_right + self.pair * n_left * n_right


def _measured_cost(compute: Callable[[Tensor, Tensor], Tensor], x: Images) -> _Cost:
    """From the first numbers of images that take long enough; a first call may compile."""

    def seconds(n_left: int, n_right: int) -> float:
        start = time.perf_counter()
        compute(x[:n_left], x[:n_right]).cpu()
        return time.perf_counter() - start

    n = len(x)
    left, right = min(SMALLEST_LEFT, n), min(SMALLEST_RIGHT, n)
    seconds(left, right)
    while right < n and seconds(left, right) < LONG_ENOUGH:
        left, right = 2 * left, min(2 * right, n)
    shapes = [(left, right), (left // 2, right), (left, right // 2)]
    measured = np.array([min(seconds(*shape) for _ in range(REPEATS)) for shape in shapes])
    counts = np.array([(n_left, n_right, n_left * n_right) for n_left, n_right in shapes], dtype=float)
    return _Cost(*nnls(counts, measured)[0])
