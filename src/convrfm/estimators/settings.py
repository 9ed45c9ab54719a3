"""The parameters of an estimator, checked when `fit` is called, and what they select."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ..errors import InputError

DEFAULT_RIDGES = tuple(float(r) for r in np.logspace(-8, 0, 17))


def check_choice(name: str, value: object, allowed: Sequence[str]) -> None:
    """Raise `InputError` unless the value is one of a few words."""
    if value not in allowed:
        raise InputError(f"{name} must be one of {tuple(allowed)}; got {value!r}.")


def check_iterations(n_iterations: object) -> None:
    """Raise `InputError` unless updates of M can be counted by it."""
    if isinstance(n_iterations, bool) or not isinstance(n_iterations, int | np.integer) or n_iterations < 0:
        raise InputError(f"n_iterations counts updates of M: an integer of at least 0; got {n_iterations!r}.")


def check_kernel(kernel: object) -> None:
    """Raise `InputError` unless it is a kernel with a metric on patches."""
    if isinstance(kernel, type) or not (callable(kernel) and hasattr(kernel, "agop") and hasattr(kernel, "window")):
        raise InputError(f"kernel must be a kernel of convrfm.kernels, such as NTK(vanilla(depth=3)); got {kernel!r}.")


def check_positive(name: str, value: Any) -> None:
    """Raise `InputError` unless the value is a positive, finite number or None."""
    if value is None:
        return
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < float("inf"):
        raise InputError(f"{name} must be a positive, finite number; got {value!r}.")


def check_selection(choose_on: str, selection: object) -> None:
    """Raise `InputError` where a selection set is missing, or given and not asked for."""
    if (choose_on == "selection") != (selection is not None):
        raise InputError(
            'with choose_on="selection" (presets "paper" and "code-2023") ridge and round are chosen on images '
            'of their own: fit(x, y, selection=(x_s, y_s)); with choose_on="loo" none may be given. Got '
            f"choose_on={choose_on!r} and {'no' if selection is None else 'a'} selection set."
        )


def ridge_candidates(ridge: Any) -> tuple[float, ...]:
    """The ridges to choose from: one, several, or the default grid for "loo"."""
    if isinstance(ridge, str):
        if ridge != "loo":
            raise InputError(f'ridge must be a number, several, or "loo"; got {ridge!r}.')
        return DEFAULT_RIDGES
    try:
        ridges = np.atleast_1d(np.asarray(ridge, dtype=float))
    except (TypeError, ValueError) as error:
        raise InputError(f'ridge must be a number, several, or "loo"; got {ridge!r}.') from error
    if ridges.ndim != 1 or not len(ridges) or not np.isfinite(ridges).all() or (ridges < 0).any():
        raise InputError(f'ridge must be finite and must not be negative: a number, several, or "loo"; got {ridge!r}.')
    return tuple(float(r) for r in ridges)


def agop_indices(wanted: Any, n: int, random_state: int | None) -> Int[Tensor, " m"]:
    """The training images at which gradients are taken.

    Args:
        wanted: None for all, a number of images to be drawn, or a slice or array of indices.
        n: how many training images there are.
        random_state: seed of the draw.
    """
    if wanted is None:
        return torch.arange(n)
    if isinstance(wanted, int | np.integer) and not isinstance(wanted, bool):
        if not 1 <= wanted <= n:
            raise InputError(f"agop_samples must lie between 1 and the {n} training images; got {wanted}.")
        return torch.as_tensor(np.random.default_rng(random_state).choice(n, int(wanted), replace=False))
    try:
        indices = np.arange(n)[wanted if isinstance(wanted, slice) else np.asarray(wanted)]
    except (IndexError, TypeError, ValueError) as error:
        raise InputError(f"agop_samples must index the {n} training images; {error}.") from error
    if isinstance(wanted, bool) or indices.ndim != 1:
        raise InputError(f"agop_samples must be None, a number, a slice or a list of indices; got {wanted!r}.")
    if not indices.size:
        raise InputError(f"agop_samples selects none of the {n} training images; got {wanted!r}.")
    return torch.as_tensor(indices)
