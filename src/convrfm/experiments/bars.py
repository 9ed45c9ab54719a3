"""Bars by noise level, as Sec. 3.2 of the paper: `python -m convrfm.experiments.bars`.

ConvRFM against its own fixed kernel (round 0): n = 500 training images, depth 2, up to three updates; ridge and round
are chosen by leave-one-out on the training images. Means over seeds with Student's 95% intervals.
"""

import numpy as np

from ..datasets import load
from ..estimators import ConvRFMClassifier
from ..kernels import NTK, vanilla
from ..maths.intervals import mean_interval

SIGMAS = (0.5, 1.0, 2.0, 4.0)
SEEDS = 5


def bars_accuracies(sigma: float, seed: int, n_train: int = 500, n_test: int = 1000) -> tuple[float, float]:
    """Test accuracy, in per cent, of the fixed kernel and of the round that leave-one-out chose."""
    data = load("bars", n_train=n_train, n_test=n_test, sigma=sigma, seed=seed)
    model = ConvRFMClassifier(NTK(vanilla(depth=2)), n_iterations=3).fit(data.x_train, data.y_train)
    stages = list(model.staged_predict(data.x_test))
    fixed, chosen = (100 * float((stages[t] == data.y_test).mean()) for t in (0, model.best_iteration_))
    return fixed, chosen


def main() -> None:
    """Print one line for each noise level."""
    for sigma in SIGMAS:
        runs = np.array([bars_accuracies(sigma, seed) for seed in range(SEEDS)])
        (fixed, learned), gains = runs.mean(0), runs[:, 1] - runs[:, 0]
        low, high = mean_interval(gains)
        print(
            f"sigma {sigma}: {fixed:.1f} -> {learned:.1f}, gain {gains.mean():.1f} ({low:.1f} to {high:.1f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
