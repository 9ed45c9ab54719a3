"""Means and 95% intervals over seeds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ...maths.intervals import mean_interval
from .methods import Measured
from .plan import Trial

Results = Mapping[Trial, Measured]


@dataclass(frozen=True)
class Summary:
    """A mean over seeds, in percent, and half the width of Student's 95% interval; NaN for one seed."""

    mean: float
    half_width: float
    seeds: int

    def __str__(self) -> str:
        return f"{self.mean:.1f}" + (f" ± {self.half_width:.1f}" if self.seeds > 1 else "")


def summary(values: Iterable[float]) -> Summary | None:
    """Of fractions; None where there are none."""
    percent = 100 * np.array(list(values))
    if not len(percent):
        return None
    half_width = float("nan") if len(percent) == 1 else 0.0
    if np.ptp(percent) > 0:
        low, high = mean_interval(percent)
        half_width = (high - low) / 2
    return Summary(float(percent.mean()), half_width, len(percent))


def measured(results: Results, data: str, n: int, method: str, name: str) -> dict[int, float]:
    """One measurement by seed."""
    return {
        trial.seed: values[name]
        for trial, values in results.items()
        if (trial.data, trial.n, trial.method) == (data, n, method) and name in values
    }


def difference(first: Mapping[int, float], second: Mapping[int, float]) -> Summary | None:
    """first - second, seed by seed where both are there."""
    return summary(first[seed] - second[seed] for seed in sorted(first.keys() & second.keys()))
