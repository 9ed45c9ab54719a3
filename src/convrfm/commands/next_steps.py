"""What may do better than a fit that gained little by learning, each with what it would take."""

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from itertools import product
from math import inf
from typing import Any

from ..datasets import ImageData
from ..errors import InputError
from ..estimators.ahead.outlook import with_fewer_columns
from ..estimators.classification import Classifier
from ..estimators.given.targets import Quality
from ..estimators.learning.judge import Judge
from ..estimators.solving.feature_solver import Features
from ..kernels.features import FeatureDraw
from ..kernels.growth import ROUGHLY, given_up_after, timed_by_the_processor
from ..quantities import duration
from ..report import NextStep
from .choices import (
    AugmentationName,
    FirstFiltersName,
    InitialMetricName,
    KernelName,
    Network,
    PatchNormalizationName,
    SolverName,
)
from .fit_settings import FitSettings

LARGER_PATCHES, LAYERS = 5, 3
LOOKS, SHARE = 20.0, 0.5  # seconds of looking ahead, or as large a share of what the fit took, if that is more
NOT_LOOKED_AT = "told before it begins"
SHORT = 10.0  # seconds, of which a rough look tells no more than that they are some
STEPS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "--network average": (
        "Neighboring positions are averaged: it matters less where exactly a pattern lies.",
        {"network": [Network.AVERAGE]},
    ),
    f"--patch-size {LARGER_PATCHES}": ("M can learn larger patterns.", {"patch_size": [LARGER_PATCHES]}),
    "--deep": ("Layer upon layer, each with a metric of its own; with tens of images add --cv 5.", {"deep": True}),
    "--network global": (
        "All positions are averaged: it does not matter where a pattern lies.",
        {"network": [Network.GLOBAL]},
    ),
}
WHITENED_PATCHES = 6
MORE, MOST_FEATURES = 4, 4096  # times as many features are proposed, and at most so many
PHOTOGRAPHS: Mapping[str, Any] = {
    "kernel": [KernelName.NNGP],
    "network": [Network.AVERAGE],
    "depth": [1],
    "patch_size": [WHITENED_PATCHES],
    "solver": SolverName.FEATURES,
    "first_filters": FirstFiltersName.PATCHES,
    "patch_normalization": PatchNormalizationName.CONTRAST,
    "initial_metric": InitialMetricName.WHITENING,
    "iterations": 0,
    "deep": False,
}
COMPARED = ("--network average", "--network global")


def next_steps(
    settings: FitSettings,
    model: Classifier,
    images: ImageData,
    pace: float | None,
    took: float,
    typed: Callable[[FitSettings], str],
) -> list[NextStep]:
    """What to try where learning gained less than the judge's standard error, or none was asked for.

    Args:
        settings: of the fit.
        model: what was fitted.
        images: to which.
        pace: seconds on the clock for each of the processors', as the fit had it beside whatever else is running here; None
            to go by the clock.
        took: seconds of the fit. The steps are looked into for about half as long, twenty seconds at least; what others take,
            their own fits tell.
        typed: the command of a run with other settings.
    """
    start = time.perf_counter()
    fixed, kept = model.layers_[0].rounds[0].judged, model.layers_[-1].kept
    apart = images.selection if kept.judge is Judge.SELECTION else None
    n_judged = len(images.x_train if apart is None else apart[0])
    if settings.iterations and _gained(fixed, kept.judged, n_judged):
        return []
    steps, seconds = list[NextStep](), dict[str, float]()
    offered = (
        {**_for_photographs(settings, images), **_steps(settings)} if settings.iterations else _on_features(settings)
    )
    for options, (reason, changes) in offered.items():
        changed = replace(settings, **changes)
        idle = not all(map(changed.acts, changes)) or _includes(settings, changes)
        if idle or _too_many_features(changed, images):
            continue
        try:
            cost = expected_seconds(changed, images, pace, time_to_look(took) - (time.perf_counter() - start))
        except TimeoutError:
            steps += [NextStep(options, reason, NOT_LOOKED_AT, typed(changed))] if _fits(changed, images) else []
            continue
        if cost is not None:
            seconds[options] = cost
            steps.append(NextStep(options, reason, _told(cost), typed(changed)))
    pooled = [step.options for step in steps if step.options in COMPARED]
    if list(settings.network) == [Network.VANILLA] and pooled and not _too_many_features(settings, images):
        again = sum(line["seconds"] for line in model.history_)
        cost = again + sum(seconds.get(options, inf) for options in pooled)
        networks = [Network.VANILLA, *(STEPS[options][1]["network"][0] for options in pooled)]
        together = " ".join(f"--network {network}" for network in networks)
        told = _told(cost) if cost < inf else NOT_LOOKED_AT
        reason = "One fit compares them and keeps the best."
        steps.append(NextStep(together, reason, told, typed(replace(settings, network=networks))))
    return steps


def _told(seconds: float) -> str:
    return f"about {duration(seconds)}" if seconds > SHORT else "some seconds"


def may_propose(settings: FitSettings) -> bool:
    """Whether there is anything to look into after such a fit."""
    return bool(settings.iterations) or settings.solver is SolverName.FEATURES


def time_to_look(took: float) -> float:
    """Seconds for which steps are looked into after a fit of so many."""
    return max(LOOKS, SHARE * took)


def _steps(settings: FitSettings) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """`STEPS`, in depth with several layers: with one it would be the same model; larger patches where they are larger."""
    larger = max(settings.patch_size) < LARGER_PATCHES
    offered = {options: step for options, step in STEPS.items() if larger or "patch_size" not in step[1]}
    if max(settings.depth) > 1:
        return offered
    deeper = {f"--deep --depth {LAYERS}" if options == "--deep" else options: step for options, step in offered.items()}
    return {
        options: (reason, {**changes, "depth": [LAYERS]} if "deep" in changes else changes)
        for options, (reason, changes) in deeper.items()
    }


def _for_photographs(settings: FitSettings, images: ImageData) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """Whitened patches, whose features are averaged over half of the shorter side, also with mirror images.

    Nothing for images that are too small.
    """
    side = min(images.x_train.shape[-2:])
    if side < 2 * WHITENED_PATCHES:
        return {}
    pool_size = (side - WHITENED_PATCHES + 1) // 2
    options = (
        f"--kernel nngp --network average --pool-size {pool_size} --depth 1 --patch-size {WHITENED_PATCHES} "
        "--solver features --first-filters patches --patch-normalization contrast --initial-metric whitening --iterations 0"
    )
    reason = "For photographs: random features of whitened patches, averaged over large squares."
    changes = {**PHOTOGRAPHS, "pool_size": pool_size}
    steps: dict[str, tuple[str, Mapping[str, Any]]] = {options: (reason, changes)}
    if AugmentationName.FLIP not in settings.augment:
        mirrored = {**changes, "augment": [*settings.augment, AugmentationName.FLIP]}
        steps[f"{options} --augment flip"] = ("The same, where mirror images show the same: twice as many.", mirrored)
    return steps


def _too_many_features(settings: FitSettings, images: ImageData) -> bool:
    """Whether such a fit would say of itself that it has more features than pay."""
    if settings.solver is not SolverName.FEATURES:
        return False
    draw = FeatureDraw(settings.n_features, settings.seed, settings.first_filters.value)
    kernels = [family(depth) for family in settings.candidates.families for depth in settings.candidates.depths]
    solver = Features(draw, tuple(name.value for name in settings.augment))
    return bool(with_fewer_columns(solver, kernels, images.x_train.shape))


def _on_features(settings: FitSettings) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """For fits on random features without an update; for other fits nothing."""
    if settings.solver is not SolverName.FEATURES:
        return {}
    more = MORE * settings.n_features
    flip = {"augment": [*settings.augment, AugmentationName.FLIP]}
    offered: dict[str, tuple[str, Mapping[str, Any]]] = {
        "--augment flip": ("Where mirror images show the same: twice as many images.", flip)
    }
    if more <= MOST_FEATURES:
        offered[f"--n-features {more}"] = ("More features are nearer to their kernel.", {"n_features": more})
    return offered


def _includes(settings: FitSettings, changes: Mapping[str, Any]) -> bool:
    """Whether the fit was of that already, alone or among other models."""
    return all(
        set(value) <= set(getattr(settings, name)) if isinstance(value, list) else value == getattr(settings, name)
        for name, value in changes.items()
    )


def _fits(settings: FitSettings, images: ImageData) -> bool:
    """Whether there are such models, and images are large enough for them."""
    try:
        candidates = settings.candidates
        for family, depth in product(candidates.families, candidates.depths):
            family(depth).check_image_size(*images.x_train.shape[-2:])
    except InputError:
        return False
    return True


def _gained(fixed: Quality, kept: Quality, n: int) -> bool:
    """By more than the standard error: of a share, or of a mean of n squares of Gaussian errors."""
    if fixed.accuracy is None or kept.accuracy is None:
        return fixed.error - kept.error > fixed.error * (2 / n) ** 0.5
    return kept.accuracy - fixed.accuracy > (fixed.accuracy * (1 - fixed.accuracy) / n) ** 0.5


def expected_seconds(settings: FitSettings, images: ImageData, pace: float | None, left: float) -> float | None:
    """Of a fit with these settings, from runs that cost little; None where the images do not allow it.

    Raises:
        TimeoutError: if it is not known after `left` seconds.
    """
    selection = images.selection if settings.cv is None else None
    try:
        model = settings.unfitted(verbose=False).set_params(choose_on="loo" if selection is None else "selection")
        with given_up_after(left), nullcontext() if pace is None else timed_by_the_processor():
            forecast = model.forecast(images.x_train, images.y_train, selection=selection, patience=ROUGHLY)
    except InputError:
        return None
    return forecast.seconds * (pace or 1.0)
