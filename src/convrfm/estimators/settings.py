"""The parameters of an estimator, checked when `fit` is called, and what they select."""

import math
from collections.abc import Hashable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import InputError
from ..storage.atomic import check_no_address
from .given.augmentation import check_augmentation
from .learning.patch_statistics import check_initial_metric
from .solving.solver import LearnableKernel

DEFAULT_RIDGES = tuple(float(r) for r in np.logspace(-8, 0, 17))


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise `InputError` for what no fit of any estimator can do, whatever its images."""
    check_iterations(parameters["n_iterations"])
    check_choice("solver", parameters["solver"], ("auto", "exact", "cg", "features"))
    check_tile_folder(parameters["tile_folder"])
    if parameters["memory_budget"] is not None:
        check_count("memory_budget", parameters["memory_budget"])
    check_count("n_features", parameters["n_features"])
    check_first_filters(parameters["first_filters"], parameters["solver"])
    check_choice("patch_normalization", parameters["patch_normalization"], (None, "contrast"))
    check_initial_metric(parameters["initial_metric"])
    check_augmentation(parameters["augment"])
    together = "images with their copies (augment=...)" if parameters["augment"] else None
    check_solver(parameters["solver"], shared=parameters["workers"] is not None, together=together)
    check_choice("keep", parameters["keep"], ("best", "last"))
    check_choice("choose_on", parameters["choose_on"], ("loo", "selection"))
    check_choice("agop_ridge", parameters["agop_ridge"], ("chosen", "last"))
    check_positive("feature_power", parameters["feature_power"])
    if parameters["feature_trace"] is not None:
        check_positive("feature_trace", parameters["feature_trace"])
    check_seed(parameters["random_state"])
    shrinkage_candidates(parameters["shrinkage"])


def check_names(parameters: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `InputError` for names of parts, `kernel__patch_size`, of what scikit-learn cannot set the parameters of.

    Args:
        parameters: what is to be set, by name.
        now: all parameters as they are.
    """
    for name in parameters:
        whole, inside, _ = name.partition("__")
        if inside and whole in now and not hasattr(parameters.get(whole, now[whole]), "set_params"):
            raise InputError(
                f"{whole} can only be set as a whole; got {name}.",
                in_python="Pass whole values, such as several kernels to a search: "
                '{"kernel": [NTK(vanilla(depth=2)), NTK(vanilla(depth=3))]}.',
            )


def check_tile_folder(folder: object) -> None:
    """Raise `InputError` for what is no folder: fits lock it, as object stores cannot be."""
    if folder is not None and not isinstance(folder, str | Path):
        raise InputError(f"tile_folder must be a folder; got {folder!r}.")
    if folder is not None:
        check_no_address(Path(folder))


def check_choice(name: str, value: object, allowed: Sequence[object]) -> None:
    """Raise `InputError` unless the value is one of a few."""
    if not isinstance(value, Hashable) or value not in allowed:
        raise InputError(f"{name} must be one of {tuple(allowed)}; got {value!r}.")


def check_iterations(n_iterations: object) -> None:
    """Raise `InputError` unless updates of M can be counted by it."""
    if isinstance(n_iterations, bool) or not isinstance(n_iterations, int | np.integer) or n_iterations < 0:
        raise InputError(f"n_iterations counts updates of M: an integer of at least 0; got {n_iterations!r}.")


def check_first_filters(first_filters: object, solver: object) -> None:
    """Raise `InputError` unless it names filters, and where there are none to be named."""
    check_choice("first_filters", first_filters, ("gaussian", "patches"))
    if first_filters != "gaussian" and solver != "features":
        raise InputError(f'first_filters="{first_filters}" is of random features: pass solver="features" with it.')


def check_solver(name: str, *, shared: bool, together: str | None) -> None:
    """Raise `InputError` where a solver cannot do what is asked of it.

    Args:
        name: of the solver.
        shared: whether workers share its work, as they do that of conjugate gradients.
        together: what is left out together, which conjugate gradients cannot; None for single images.
    """
    if shared and name in ("exact", "features"):
        raise InputError('workers share the tiles of conjugate gradients: pass solver="cg", or workers=None.')
    if together and (shared or name == "cg"):
        raise InputError(
            f"conjugate gradients know single images left out, by an estimate: they cannot leave out {together}. Pass "
            'solver="exact" or solver="features", and workers=None.'
        )


def check_seed(random_state: object) -> None:
    """Raise `InputError` unless NumPy's generators can be seeded by it."""
    if random_state is None:
        return
    if isinstance(random_state, bool) or not isinstance(random_state, Integral) or int(random_state) < 0:
        raise InputError(f"random_state must be None or an integer of at least 0; got {random_state!r}.")


def check_kernel(kernel: object) -> None:
    """Raise `InputError` unless it is a kernel with a metric on patches."""
    if isinstance(kernel, type) or not isinstance(kernel, LearnableKernel):
        raise InputError(
            f"kernel must be a kernel of convrfm.kernels; got {kernel!r}.",
            in_python="Pass NTK(vanilla(depth=3)), for instance.",
        )


def check_positive(name: str, value: Any) -> None:
    """Raise `InputError` unless the value is a positive, finite number."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < float("inf"):
        raise InputError(f"{name} must be a positive, finite number; got {value!r}.")


def check_count(name: str, value: object) -> None:
    """Raise `InputError` unless the value is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise InputError(f"{name} must be an integer of at least 1; got {value!r}.")


def check_judge(parameters: Mapping[str, Any], selection: object) -> None:
    """Raise `InputError` where a selection set is missing, or given and not asked for, or not alone; or where one is needed."""
    choose_on, cv = parameters["choose_on"], parameters["cv"]
    if (choose_on == "selection") != (selection is not None):
        raise InputError(
            'with choose_on="selection" (presets "paper" and "code-2023") ridge and round are chosen on images '
            'of their own: fit(x, y, selection=(x_s, y_s)); with choose_on="loo" none may be given. Got '
            f"choose_on={choose_on!r} and {'no' if selection is None else 'a'} selection set."
        )
    if selection is not None and not (isinstance(selection, tuple | list) and len(selection) == 2):
        raise InputError(f"selection must be a pair, (images, labels or targets); got {type(selection).__name__}.")
    if cv is not None and selection is not None:
        raise InputError(
            "choose by cross-validation or on a selection set, not both.", in_python='Pass cv=None or choose_on="loo".'
        )
    if cv is None and selection is None and len(shrinkage_candidates(parameters["shrinkage"])) > 1:
        raise InputError(
            "of several values of shrinkage leave-one-out cannot choose, because every M has seen every label. Choose by folds "
            "that learn an M each (cv=5) or on a validation part (a selection set), or pass one value."
        )


def several(name: str, value: Any) -> list[Any]:
    """A list of candidates, of one where one was given; raises `InputError` where there is none."""
    if not isinstance(value, list | tuple):
        return [value]
    if not value:
        raise InputError(f"{name} must be one candidate or several; got {value!r}.")
    return list(value)


def ridge_candidates(ridge: Any, weights: Float[Tensor, " n"] | None = None) -> tuple[float, ...]:
    """The ridges to choose from: one, several, or for "loo" the default grid, which goes along with the weights.

    It does so in whole thousands: an image of weight w is w images in the choice of the ridge too.
    """
    if isinstance(ridge, str):
        if ridge != "loo":
            raise InputError(f'ridge must be a number, several, or "loo"; got {ridge!r}.')
        thousands = 0 if weights is None else round(math.log10(float(weights.mean())) / 3)
        return tuple(float(f"1e{3 * thousands}") * each for each in DEFAULT_RIDGES)
    try:
        if any(isinstance(value, bool | np.bool_) for value in np.atleast_1d(np.asarray(ridge, dtype=object))):
            raise TypeError("truth values are no numbers")
        ridges = np.atleast_1d(np.asarray(ridge, dtype=float))
    except (TypeError, ValueError) as error:
        raise InputError(f'ridge must be a number, several, or "loo"; got {ridge!r}.') from error
    if ridges.ndim != 1 or not len(ridges) or not np.isfinite(ridges).all() or (ridges < 0).any():
        raise InputError(f'ridge must be finite and must not be negative: a number, several, or "loo"; got {ridge!r}.')
    return tuple(float(r) for r in ridges)


def shrinkage_candidates(shrinkage: Any) -> tuple[float, ...]:
    """The amounts of shrinkage to choose from, one or several; raises `InputError` for others than from 0 to below 1."""
    amounts = several("shrinkage", shrinkage)
    for amount in amounts:
        if not isinstance(amount, Real) or isinstance(amount, bool) or not 0 <= float(amount) < 1:
            raise InputError(
                "shrinkage must be from 0 (M is what was learned) to below 1 (M stays what it was), one number or several; got "
                f"{amount!r}."
            )
    return tuple(float(amount) for amount in amounts)


def agop_indices(wanted: Any, n: int, random_state: int | None) -> Int[Tensor, " m"] | None:
    """The training images at which gradients are taken; None for all.

    Args:
        wanted: None for all, a number of images to be drawn, or a slice or array of indices.
        n: how many training images there are.
        random_state: seed of the draw.
    """
    if wanted is None:
        return None
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
