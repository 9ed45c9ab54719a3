"""Means over seeds, and their 95% intervals."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ...maths.intervals import mean_interval
from .methods import Measured
from .plan import MOST, Trial

Results = Mapping[Trial, Measured]


@dataclass(frozen=True)
class Summary:
    """A mean over seeds, in percent, and half the width of Student's 95% interval; NaN of fewer than three."""

    mean: float
    half_width: float
    seeds: int

    def __str__(self) -> str:
        return f"{self.mean:.1f}" + ("" if math.isnan(self.half_width) else f" ± {self.half_width:.1f}")


def summary(values: Iterable[float]) -> Summary | None:
    """Of fractions; None where there are none."""
    percent = 100 * np.array(list(values))
    if not len(percent):
        return None
    low, high = mean_interval(percent)
    return Summary(float(percent.mean()), (high - low) / 2, len(percent))


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


def sizes(results: Results, data: str) -> list[int]:
    """The numbers of training images whose accuracies are told of a data set."""
    return sorted({trial.n for trial in results if trial.data == data and trial.n <= MOST})
