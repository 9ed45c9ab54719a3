"""When a fit may go on from the one before it."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ...quantities import counted
from ..learning.judge import Judge
from ..learning.layers import FittedLayer
from ..learning.plan import Plan
from ..learning.problem import Problem
from ..solving.solver import LearnableKernel
from .fitted_layers import FittedLayers

OTHERWISE = "warm_start=False begins anew."


def fits_to_go_on_from(
    fitted: FittedLayers, problem: Problem, plan: Plan, folds: Sequence[np.ndarray]
) -> list[tuple[FittedLayer, ...]]:
    """The layers of the fit before, of every candidate.

    Args:
        fitted: that fit.
        problem: that of the first layer, now.
        plan: what is to be fitted now.
        folds: the images that each fold holds out, now.

    Raises:
        InputError: unless it was to the same images, labels and weights with the same one kernel, or was interrupted among
            the same ones, judged by the same images, and has no more rounds than are wanted now.
    """
    fits = list(fitted.unfinished or [fitted.layers])
    if len(fits) != len(plan.candidates):
        among = counted(len(fits), "kernel")
        raise InputError(
            f"the fit that is gone on with is of {among}, and {len(plan.candidates)} came: pass those.",
            in_python=OTHERWISE,
        )
    if fitted.solver != problem.solver:
        raise InputError(
            "a fit is gone on with by the same solver and the same draw of features: pass its solver, n_features, "
            "first_filters, augment and random_state.",
            in_python=OTHERWISE,
        )
    then, now = (fitted.x, fitted.targets, fitted.weights), (problem.x, problem.y, problem.weights)
    if not all(map(_same, then, now)):
        raise InputError(
            "a fit is gone on with on the same images, labels and weights, and these differ: pass them again.",
            in_python=OTHERWISE,
        )
    judge = judge_of(problem, folds)
    if any(round_.judge is not judge for layers in fits for layer in layers for round_ in layer.rounds):
        raise InputError("a fit goes on choosing as before: pass the same choose_on and cv.", in_python=OTHERWISE)
    if fitted.judged_on != judged_on(problem, folds):
        raise InputError(
            f"a fit goes on choosing as before, and {judge.label} is of other images now: pass those of before.",
            in_python=OTHERWISE,
        )
    for layers, kernels in zip(fits, plan.candidates, strict=True):
        if layers:
            _check_layers(layers, kernels, problem, plan, folds)
    return fits


def _check_layers(
    layers: Sequence[FittedLayer],
    kernels: Sequence[LearnableKernel],
    problem: Problem,
    plan: Plan,
    folds: Sequence[np.ndarray],
) -> None:
    """Raise `InputError` unless these layers of a candidate can be gone on with."""
    if tuple(layer.kernel for layer in layers) != tuple(kernels[: len(layers)]):
        raise InputError("a fit is gone on with under the same kernel: pass it.", in_python=OTHERWISE)
    if not _same(replace(problem, kernel=kernels[0]).first_metric(), layers[0].rounds[0].metric):
        raise InputError("a fit is gone on with from the same initial_metric: pass it again.", in_python=OTHERWISE)
    gone_on_from = [each for layer in layers for each in (layer.rounds[-1], replace(layer, keep=plan.keep).kept)]
    if folds and not all(round_.folds for round_ in gone_on_from):
        raise InputError(
            "a finished fit keeps no metrics of its folds to go on from, an interrupted one those of last rounds and of "
            "those that were kept.",
            in_python=f"Pass keep as before where it was interrupted; {OTHERWISE}",
        )
    finished = max(len(layer.rounds) for layer in layers) - 1
    if plan.n_iterations < finished:
        raise InputError(f"warm_start can only add rounds: n_iterations must be at least {finished}.")


def judge_of(problem: Problem, folds: Sequence[np.ndarray]) -> Judge:
    """What judges the rounds of a problem."""
    if folds:
        return Judge.CROSS_VALIDATION
    return Judge.LEAVE_ONE_OUT if problem.selection is None else Judge.SELECTION


def judged_on(problem: Problem, folds: Sequence[np.ndarray]) -> str:
    """A digest of the images that judge rounds: which are left out together, those of the folds, or the selection set."""
    digest = hashlib.sha256()
    if problem.groups is not None:
        digest.update(b"groups" + problem.groups.cpu().numpy().astype(np.int64).tobytes())
    for held_out in folds:
        digest.update(np.asarray(held_out, dtype=np.int64).tobytes() + b";")
    for tensor in problem.selection or ():
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.dtype == b.dtype and torch.equal(a, b.to(a.device))
