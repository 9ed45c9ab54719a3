"""Every method has a line through its means."""

from typing import Any

import numpy as np

from convrfm.maths.intervals import mean_interval
from convrfm.plots import plot_levels

SCORES = {"fixed": np.array([[0.5, 0.7], [0.4, 0.4]]), "learned": np.array([[0.8], [0.6]])}


def test_lines_go_through_the_means_and_bars_are_the_intervals() -> None:
    ax = plot_levels((0.5, 4.0), SCORES, xlabel="sigma")
    containers: list[Any] = ax.containers
    for container, (name, values) in zip(containers, SCORES.items(), strict=True):
        assert container.get_label() == name
        np.testing.assert_allclose(container.lines[0].get_ydata(), values.mean(1))
    low, high = mean_interval(SCORES["fixed"][0])
    (bars,) = containers[0].lines[2]
    np.testing.assert_allclose(bars.get_segments()[0][:, 1], (low, high))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.5", "4"]
