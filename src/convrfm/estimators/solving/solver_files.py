"""Solvers from what their `to_file` wrote."""

from collections.abc import Mapping
from typing import Any, get_args

from ...kernels.features import FeatureDraw, FirstFilters
from ..given.augmentation import check_augmentation
from .feature_solver import Features
from .iterative import Iterative
from .solver import Exact, Solver


def solver_from_file(learned: Mapping[str, Any]) -> Solver:
    """The solver of which `to_file` wrote these; raises `KeyError` or `ValueError`."""
    if learned["solver"] == "exact":
        return Exact(int(learned.get("seed", 0)))
    if learned["solver"] == "cg":
        return Iterative(int(learned["seed"]))
    if learned["solver"] != "features":
        raise ValueError(f"the solver {learned['solver']!r} is unknown")
    first_filters = learned.get("first_filters", "gaussian")
    if first_filters not in get_args(FirstFilters):
        raise ValueError(f"the filters {first_filters!r} are unknown")
    check_augmentation(augment := learned.get("averaged_over", []))
    return Features(FeatureDraw(int(learned["n_features"]), int(learned["seed"]), first_filters), tuple(augment))
