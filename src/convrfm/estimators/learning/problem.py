"""What the rounds of one layer share: images, targets, kernel and settings; without a fold, or a layer further."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...errors import InputError
from ...kernels.recursion.recursion import Images
from ...kernels.threads import threads_for
from ...maths.psd import psd_power, scale_to_trace
from ...maths.random_filters import RandomFeatures
from ...solvers.path import Path
from ...workers import Workers
from ..solving.solver import Basis, LearnableKernel, Metric, Solver, Watch
from .patch_statistics import InitialMetric, first_metric

LOST = 0.01  # of what targets vary by: of predictions that are rounded to that the score tells


@dataclass(frozen=True, eq=False)
class Problem:
    """What all rounds share.

    Attributes:
        kernel: the kernel.
        solver: how the regression on it is solved.
        x: training images.
        y: targets `(n, k)`.
        weights: an image of weight w counts as w images; None for 1.
        groups: the number of every image's group, left out together; None for one image a group.
        classify: whether accuracy counts.
        ridges: candidates, in the order given.
        agop_indices: the images at which gradients are taken; None for all.
        agop_ridge: "chosen", or "last": the coefficients of the last candidate feed the AGOP (code-2023).
        initial_metric: that of round 0, as `first_metric` has it.
        feature_power: patches are multiplied by M to this power.
        feature_trace: the trace of the metric; None for d.
        shrinkages: how far an update may stay with the metric before it, of which the judge chooses.
        selection: images and targets that the fit does not see, to judge it by.
        of_each: how many there are of every training image, itself and its copies.
    """

    kernel: LearnableKernel
    solver: Solver
    x: Images
    y: Float[Tensor, "n k"]
    weights: Float[Tensor, " n"] | None
    groups: Int[Tensor, " n"] | None
    classify: bool
    ridges: Sequence[float]
    agop_indices: Int[Tensor, " m"] | None
    agop_ridge: Literal["chosen", "last"]
    initial_metric: InitialMetric
    feature_power: float
    feature_trace: float | None
    shrinkages: Sequence[float]
    selection: tuple[Float[Tensor, "s c h w"], Float[Tensor, "s k"]] | None
    of_each: int = 1

    @property
    def patch_entries(self) -> int:
        """d = c q q."""
        return self.x.shape[1] * self.kernel.window.size**2

    def threads(self) -> AbstractContextManager[object]:
        """Torch's threads while a round goes on: one where images and entries of a patch are few."""
        return threads_for(max(len(self.x), self.patch_entries))

    @property
    def contradicting(self) -> Int[Tensor, " m"]:
        """The images that equal one with other targets."""
        number = self.x.flatten(1).unique(dim=0, return_inverse=True)[1]
        of_one = torch.empty_like(self.y)
        of_one[number] = self.y  # of one image among its equals
        differing = number[(self.y != of_one[number]).any(1)]
        return torch.isin(number, differing).nonzero()[:, 0]

    @property
    def contradiction(self) -> str | None:
        """What a ridge of 0 cannot do with such images, in words; None where nothing is to be said."""
        if max(self.ridges) > 0 or not (contradicting := len(self.contradicting)):
            return None
        return (
            f"ridge=0 asks for a function that meets every target, but {contradicting} of {len(self.x)} images equal another "
            "one with other targets: they get about the mean, as rounding has it. Remove them, or pass a positive ridge or "
            'ridge="loo".'
        )

    @property
    def lost_in_offset(self) -> str | None:
        """What predictions lose where targets are far from 0 beside what they vary by, in words; None where that is little."""
        if self.classify:
            return None
        largest = self.y.abs().amax(0)
        rounding, constant = torch.finfo(self.x.dtype).eps * largest, 8 * torch.finfo(self.y.dtype).eps * largest
        varying = (self.y - self.y.mean(0)).square().mean(0).sqrt()
        if not (lost := (varying > constant) & (rounding > LOST * varying)).any():
            return None
        return (
            f"targets are up to {float(self.y[:, lost].abs().max()):.2g} and vary by {float(varying[lost].min()):.2g}: "
            f"predictions, in the precision of the images ({self.x.dtype}), are rounded to {float(rounding[lost].max()):.1g}. "
            "Subtract a constant from the targets, or pass images of float64."
        )

    def basis(self, metric: Metric) -> Basis:
        """What the fitted function is a sum of, under a metric."""
        return self.solver.basis(self.kernel, self.x, metric)

    def first_metric(self) -> Metric:
        """The metric of round 0."""
        return first_metric(self.initial_metric, self.x, self.weights, self.kernel.window, self.feature_trace)

    def path(self, metric: Metric, watch: Watch) -> Path:
        """The regression under a metric, for every ridge; raises `InputError` where there is no room for it."""
        return self.basis(metric).path(
            self.y, self.weights, self.groups, ridges=self.ridges, centered=not self.classify, watch=watch
        )

    def coefficients(self, path: Path, ridges: Sequence[float]) -> list[Float[Tensor, "j k"]]:
        """The regressions' coefficients in the precision of the images; raises `InputError` where that has no such numbers."""
        least = 2.0**10 * torch.finfo(self.x.dtype).tiny
        return [self._in_precision(coef, least=least) for coef in path.coefs(ridges)]

    def intercept(self, path: Path) -> Float[Tensor, " k"] | None:
        """The mean of the targets, in the same way; None where they are not centered."""
        return None if path.intercept is None else self._in_precision(path.intercept, least=0.0)

    def _in_precision(self, of_targets: Float[Tensor, "*shape"], least: float) -> Float[Tensor, "*shape"]:
        largest = float(of_targets.abs().max())
        if largest and not least < largest < torch.finfo(self.x.dtype).max:
            raise InputError(
                f"the fit's coefficients are up to {largest:.2g}, which the precision of the images, "
                f"{self.x.dtype}, cannot hold: the targets, up to {float(self.y.abs().max()):.2g}, are too large or too small "
                "beside the kernel's values. Multiply targets or images by a constant, or pass images of float64."
            )
        return of_targets.to(self.x)

    def selection_outputs(self, metric: Metric, path: Path, watch: Watch) -> list[Float[Tensor, "s k"]]:
        """For every ridge, the outputs for the selection images."""
        if self.selection is None:
            return []
        together = torch.cat(path.coefs(self.ridges), 1)
        outputs = self.basis(metric).outputs(self.selection[0], together, watch).chunk(len(self.ridges), 1)
        return [of_ridge if path.intercept is None else of_ridge + path.intercept for of_ridge in outputs]

    def learned_metric(self, metric: Metric, coef: Float[Tensor, "j k"], watch: Watch) -> Float[Tensor, "d d"]:
        """The next round's metric, from the AGOP of the predictor with these coefficients under this metric."""
        x, weights = self.x, self.weights
        if not coef.any():
            raise InputError(
                "the fitted function is constant, so that no metric can be learned from it: all targets are equal. Check "
                "them, or pass n_iterations=0."
            )
        # The metric is that of any multiple of the targets: by a power of two, so that no digit is lost.
        coef = torch.ldexp(coef, -torch.frexp(coef.abs().max()).exponent)
        if self.agop_indices is not None:
            x = x[self.agop_indices]
            weights = None if weights is None else weights[self.agop_indices]
        agop = self.basis(metric).agop(x, coef, weights, watch)
        trace = float(self.patch_entries) if self.feature_trace is None else self.feature_trace
        learned = psd_power(agop.double(), 2 * self.feature_power)
        if not 0 < float(learned.trace()) < float("inf"):
            raise InputError(
                f"the average gradient outer product to the power {2 * self.feature_power:g} is {float(learned.trace()):g}: "
                "nothing can be learned from it. Check that the images differ, that neither the ridge nor feature_power is "
                "enormous, and rescale very small or very large images."
            )
        return scale_to_trace(learned, trace).to(self.x)

    def shrunk(self, learned: Float[Tensor, "d d"], before: Metric, amount: float) -> Float[Tensor, "d d"]:
        """(1 - amount) times the learned metric plus amount times the one before it, brought to the same trace."""
        if not amount:
            return learned
        before = torch.eye(self.patch_entries).to(learned) if before is None else before
        return torch.lerp(learned, scale_to_trace(before, float(learned.trace())), amount)

    def feeding_ridge(self, chosen: float) -> float:
        """The ridge whose coefficients feed the AGOP."""
        return self.ridges[-1] if self.agop_ridge == "last" else chosen

    def shared_between(self, workers: Workers | None) -> "Problem":
        """The same problem, whose work workers share; None for this process."""
        return replace(self, solver=self.solver.shared_between(workers))

    def without(self, held_out: Int[Tensor, " s"]) -> "Problem":
        """The same problem without some images, which become its selection."""
        remain = torch.ones(len(self.x), dtype=torch.bool, device=self.x.device)
        remain[held_out] = False
        renumbered = remain.cumsum(0) - 1
        indices = self.agop_indices
        if indices is not None:
            indices = renumbered[indices[remain[indices]]]
            if not len(indices):
                raise InputError(
                    "a fold of cv holds out every image of agop_samples. Use more of them, or other folds."
                )
        return replace(
            self,
            x=self.x[remain],
            y=self.y[remain],
            weights=None if self.weights is None else self.weights[remain],
            groups=None if self.groups is None else self.groups[remain],
            agop_indices=indices,
            selection=(self.x[held_out], self.y[held_out]),
        )

    def through(self, features: RandomFeatures, kernel: LearnableKernel) -> "Problem":
        """The next layer's problem: all images through random features, another kernel on them."""
        selection = None if self.selection is None else (features(self.selection[0]), self.selection[1])
        return replace(self, kernel=kernel, initial_metric="identity", x=features(self.x), selection=selection)
