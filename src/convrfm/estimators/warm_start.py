"""When a fit may go on from the one before it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError
from .fitted_layers import FittedLayers
from .layers import FittedLayer
from .plan import Plan
from .problem import Problem


def layers_to_go_on_from(
    fitted: FittedLayers, problem: Problem, plan: Plan, *, choose_on: str, in_folds: bool
) -> Sequence[FittedLayer]:
    """The layers of the fit before.

    Args:
        fitted: that fit.
        problem: that of the first layer, now.
        plan: what is to be fitted now.
        choose_on: what rounds are chosen on without folds, "loo" or "selection".
        in_folds: whether they are chosen by cross-validation.

    Raises:
        InputError: unless it was to the same images, labels and weights with the same one kernel, chosen by leave-one-out of
            single images, and has no more rounds than are wanted now.
    """
    if in_folds or len(plan.candidates) > 1:
        raise InputError("warm_start goes on with one kernel chosen without folds: pass cv=None and one kernel.")
    if tuple(layer.kernel for layer in fitted.layers) != plan.candidates[0][: len(fitted.layers)]:
        raise InputError("warm_start adds rounds to a fit with the same kernel; pass it, or warm_start=False.")
    then, now = (fitted.x, fitted.targets, fitted.weights), (problem.x, problem.y, problem.weights)
    if not all(map(_same, then, now)):
        raise InputError(
            "warm_start adds rounds to a fit of the same images, labels and weights; these differ. Pass them again, or "
            "warm_start=False."
        )
    if fitted.grouped or problem.groups is not None or problem.selection is not None:
        raise InputError("warm_start goes on with leave-one-out of single images: pass neither groups nor a selection.")
    if any(round_.judge != choose_on for layer in fitted.layers for round_ in layer.rounds):
        raise InputError("warm_start goes on choosing as before: pass the same choose_on and cv, or warm_start=False.")
    finished = max(len(layer.rounds) for layer in fitted.layers) - 1
    if plan.n_iterations < finished:
        raise InputError(f"warm_start can only add rounds: n_iterations must be at least {finished}.")
    return fitted.layers


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.dtype == b.dtype and torch.equal(a, b.to(a.device))
