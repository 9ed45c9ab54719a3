"""The star task of the published run, from its seed and from others.

Radhakrishnan et al. 2024 publish one run: 50 training images, depth 1, patches of 11 x 11, ridge 1e-3, one update from
the AGOP of the first 20 images; 77.95% becomes 94.83%. The same draw is made again here, number by number.
"""

import random

import numpy as np
import torch

from ..datasets.local_signal import STAR_OFFSETS, STAR_PIXELS
from ..estimators import ConvRFMClassifier
from ..kernels import NTK, vanilla
from ..maths.intervals import mean_interval
from ..report import Section
from .figure import PublishedFigure, Reproduction, Request
from .run_folder import RunFolder, Step
from .scale import Scale

PUBLISHED_SEED = 1717
DRAWS = {Scale.SMOKE: 2, Scale.FULL: 10}
HEADER = ("Seed", "Fixed kernel", "One update")

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def published_star(seed: int, n_train: int, n_test: int) -> Split:
    """Images and labels for training and testing as the published code draws them from a seed.

    A pool of n_train + n_test images of each class is shuffled; the first n_train are for training, all others for
    testing. So the classes of a small training set are not of equal size, which is what makes single draws vary.
    """
    offsets, noise = random.Random(seed), np.random.RandomState(seed)
    n = n_train + n_test
    x = np.empty((2 * n, 3, 32, 32), np.float32)
    for i in range(2 * n):
        row, column = (offsets.randint(0, STAR_OFFSETS - 1) for _ in range(2)) if i < n else (0, 0)
        x[i] = noise.normal(size=(3, 32, 32)) * 3e-1
        if i < n:
            rows, columns = (STAR_PIXELS + np.array([row, column])).T
            x[i, :2, rows, columns] = 1
    y = np.repeat([1, 0], n)
    order = torch.randperm(2 * n, generator=torch.Generator().manual_seed(seed)).numpy()
    x, y = x[order], y[order]
    return x[:n_train], y[:n_train], x[n_train:], y[n_train:]


def star_accuracies(seed: int, n_train: int = 50, n_test: int = 1000, device: str = "auto") -> list[float]:
    """Test accuracy, in per cent, of the fixed kernel and after one update with the preset of the published run."""
    x, y, x_test, y_test = published_star(seed, n_train, n_test)
    model = ConvRFMClassifier.from_preset(
        "science-2024", kernel=NTK(vanilla(depth=1, patch_size=11)), ridge=1e-3, n_iterations=1, device=device
    ).fit(x, y)
    return [100 * float((predicted == y_test).mean()) for predicted in model.staged_predict(x_test)]


def produce(request: Request, folder: RunFolder, verbose: bool) -> Reproduction:
    """The published draw and more draws, with the interval of what one update adds."""
    seeds = [PUBLISHED_SEED, *range(request.seed, request.seed + DRAWS[request.scale])]
    runs = []
    for seed in seeds:
        step = folder.step(f"seed-{seed}", lambda: Step({"accuracies": star_accuracies(seed, device=request.device)}))  # noqa: B023
        runs.append(step.record["accuracies"])
    gains = np.array([after - before for before, after in runs[1:]])
    low, high = mean_interval(gains)
    rows = [[seed, f"{before:.2f}", f"{after:.2f}"] for seed, (before, after) in zip(seeds, runs, strict=True)]
    before, after = runs[0]
    section = (
        Section("One update of the patch metric")
        .lead(f"The published draw gives {before:.2f}% and {after:.2f}% (published: 77.95 and 94.83).")
        .prose(
            f"Over {len(gains)} other draws one update adds {gains.mean():.1f} points on average "
            f"(95% interval {low:.1f} to {high:.1f})."
        )
        .table(HEADER, rows, caption="Test accuracy in per cent, 50 training and 2050 test images.", marked_rows=[0])
    )
    results = {
        "accuracies": dict(zip(map(str, seeds), runs, strict=True)),
        "mean_gain": float(gains.mean()),
        "interval": (low, high),
    }
    return Reproduction(results, HEADER, rows, [section])


FIGURE = PublishedFigure("The star task", produce)
