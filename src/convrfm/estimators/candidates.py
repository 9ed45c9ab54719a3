"""The fits of all candidates, and what an interrupt leaves of them."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from ..errors import InterruptedFitWarning
from ..quantities import counted
from .ahead.outlook import outlook
from .learning.folds import Fold
from .learning.layers import FittedLayer, fit_layers
from .learning.plan import Plan
from .learning.problem import Problem
from .learning.progress import shown_progress, within

Layers = tuple[FittedLayer, ...]


def fit_candidates(
    plan: Plan,
    problem: Problem,
    folds: Sequence[np.ndarray],
    earlier: Sequence[Layers],
    *,
    verbose: bool,
    n_test: int,
    after_round: Callable[[Sequence[Layers]], None],
) -> list[Layers]:
    """The layers of every candidate.

    An interrupt leaves those that are finished, none of a candidate that has not begun. In a warm start it leaves the layers
    of the fit before where these are more than the new ones, or as many of no fewer rounds.

    Args:
        plan: what is tried.
        problem: that of the first layer, with whichever kernel.
        folds: the images that each fold holds out.
        earlier: the layers that a warm start goes on from, none of a candidate that had not begun.
        verbose: show progress, and an estimate also of a short fit.
        n_test: images whose outputs are asked for after the fit, for the estimate.
        after_round: is told the fits so far after each round that was not finished before.
    """
    fits = list(earlier)
    ahead = outlook(plan, problem, folds, sum(map(n_rounds, earlier)), verbose=verbose, n_test=n_test)
    with shown_progress(shown=verbose) as watch:
        try:
            for at, kernels in enumerate(plan.candidates):
                start = replace(problem, kernel=kernels[0])
                place = within(f"kernel {at + 1}/{len(fits)}", watch) if len(fits) > 1 else watch
                layers: Layers = ()
                for layers in fit_layers(
                    start,
                    kernels,
                    n_iterations=plan.n_iterations,
                    keep=plan.keep,
                    draw=plan.draw,
                    folds=[Fold.of(start, torch.from_numpy(held_out).to(start.x.device)) for held_out in folds],
                    earlier=earlier[at],
                    watch=place,
                ):
                    if _finished(layers) > _finished(earlier[at]):
                        fits[at] = layers
                        after_round(fits)
                        ahead.round_finished()
                fits[at] = layers
            fits = [tuple(map(without_folds, layers)) for layers in fits]
        except KeyboardInterrupt:
            finished = sum(map(n_rounds, fits))
            if not finished:
                raise
            warnings.warn(
                f"interrupted: the fit keeps {finished} of {counted(plan.n_rounds, 'round')}.",
                InterruptedFitWarning,
                stacklevel=4,
            )
    return fits


def without_folds(layer: FittedLayer) -> FittedLayer:
    """A layer of a finished fit: what its folds would go on from has served."""
    return replace(layer, rounds=tuple(round_.without_folds() for round_ in layer.rounds))


def best_fit(fits: Sequence[Layers]) -> Layers:
    """The fit whose last layer keeps the best round; of equals the first. One without layers does not count."""
    begun = [layers for layers in fits if layers]
    return max(enumerate(begun), key=lambda fit: (fit[1][-1].kept.judged.rank, -fit[0]))[1]


def n_rounds(layers: Layers) -> int:
    """How many rounds of a fit are finished."""
    return sum(len(layer.rounds) for layer in layers)


def _finished(layers: Layers) -> tuple[int, int]:
    """How much of a fit is done: its layers count first, then their rounds."""
    return len(layers), n_rounds(layers)
