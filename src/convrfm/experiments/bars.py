"""Bars by noise level, as Sec. 3.2 of the paper.

ConvRFM against its own fixed kernel (round 0): n = 500 training images, depth 2, up to three updates; ridge and round
are chosen by leave-one-out on the training images. Means over seeds with Student's 95% intervals.
"""

import numpy as np

from ..datasets import load
from ..estimators import ConvRFMClassifier
from ..kernels import NTK, vanilla
from ..maths.intervals import mean_interval
from ..report import Section
from .figure import PublishedFigure, Reproduction, Request
from .run_folder import RunFolder, Step
from .scale import Scale

SIGMAS = (0.5, 1.0, 2.0, 4.0)
SEEDS = {Scale.SMOKE: 2, Scale.FULL: 5}
IMAGES = {Scale.SMOKE: (60, 100), Scale.FULL: (500, 1000)}  # for training and for testing
HEADER = ("Sigma", "Fixed kernel", "ConvRFM", "Gain (95% interval)")


def bars_accuracies(sigma: float, seed: int, n_train: int, n_test: int, device: str = "auto") -> tuple[float, float]:
    """Test accuracy, in per cent, of the fixed kernel and of the round that leave-one-out chose."""
    data = load("bars", n_train=n_train, n_test=n_test, sigma=sigma, seed=seed)
    model = ConvRFMClassifier(NTK(vanilla(depth=2)), n_iterations=3, device=device).fit(data.x_train, data.y_train)
    stages = list(model.staged_predict(data.x_test))
    fixed, chosen = (100 * float((stages[t] == data.y_test).mean()) for t in (0, model.best_iteration_))
    return fixed, chosen


def produce(request: Request, folder: RunFolder, verbose: bool) -> Reproduction:
    """One line for each noise level."""
    n_train, n_test = IMAGES[request.scale]
    seeds = range(request.seed, request.seed + SEEDS[request.scale])
    results, rows = [], []
    for sigma in SIGMAS:
        runs = []
        for seed in seeds:
            step = folder.step(
                f"sigma-{sigma}-seed-{seed}",
                lambda: Step({"accuracies": bars_accuracies(sigma, seed, n_train, n_test, request.device)}),  # noqa: B023
            )
            runs.append(step.record["accuracies"])
        (fixed, learned), gains = np.mean(runs, axis=0), np.array([after - before for before, after in runs])
        low, high = mean_interval(gains)
        results.append({"sigma": sigma, "accuracies": runs, "mean_gain": float(gains.mean()), "interval": (low, high)})
        rows.append([sigma, f"{fixed:.1f}", f"{learned:.1f}", f"{gains.mean():.1f} ({low:.1f} to {high:.1f})"])
    section = Section("Bars by noise level").table(
        HEADER,
        rows,
        caption=f"Test accuracy in per cent, means over {len(seeds)} draws of {n_train} training and {n_test} test images; "
        "ridge and round by leave-one-out on the training images.",
    )
    return Reproduction(results, HEADER, rows, [section])


FIGURE = PublishedFigure("Bars", produce)
