"""Every method has a line through its means, and what is drawn of their intervals can be."""

from typing import Any, get_args

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from convrfm.maths.intervals import mean_interval
from convrfm.plots import plot_levels
from convrfm.plots.levels import Scale
from convrfm.plots.scales import PercentTicks

SCORES = {"fixed": np.array([[0.5, 0.6, 0.7], [0.4, 0.4, 0.4]]), "learned": np.array([[0.8], [0.6]])}


def drawn_ends(ax: Axes) -> np.ndarray:
    """The lower and the upper end of every interval that is drawn."""
    containers: list[Any] = ax.containers
    bars = [each for container in containers for each in container.lines[2]]
    segments = [segment for each in bars for segment in each.get_segments()]
    return np.array([segment[:, 1] for segment in segments if len(segment)]).reshape(-1, 2)


def test_lines_go_through_the_means_and_bars_are_the_intervals() -> None:
    ax = plot_levels((0.5, 4.0), SCORES, xlabel="sigma")
    containers: list[Any] = ax.containers
    for container, (name, values) in zip(containers, SCORES.items(), strict=True):
        assert container.get_label() == name
        np.testing.assert_allclose(container.lines[0].get_ydata(), values.mean(1))
    np.testing.assert_allclose(drawn_ends(ax), [mean_interval(values) for values in SCORES["fixed"]])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.5", "4"]


def test_levels_may_have_any_number_of_seeds_or_none() -> None:
    values = [np.array([0.5, 0.6, 0.7]), np.array([]), np.array([0.4, 0.5])]
    ax = plot_levels((1, 2, 3), {"of some": values}, xlabel="level")
    containers: list[Any] = ax.containers
    np.testing.assert_allclose(containers[0].lines[0].get_xydata(), [[0, 0.6], [2, 0.45]])
    np.testing.assert_allclose(drawn_ends(ax), [mean_interval(values[0])])
    assert len(ax.get_xticks()) == 3


@pytest.mark.parametrize("scale", get_args(Scale))
@pytest.mark.parametrize("seeds", [1, 2])
def test_means_over_fewer_than_three_have_no_interval_and_leave_the_axis_alone(scale: Scale, seeds: int) -> None:
    values = np.array([[0.2, 0.9], [0.3, 0.4]])[:, :seeds]
    ax = plot_levels((1, 2), {"of few": values}, xlabel="level", scale=scale)
    assert len(drawn_ends(ax)) == 0
    legend = ax.get_legend()
    assert legend is not None
    assert not legend.findobj(LineCollection)
    ax.get_figure(root=True).draw_without_rendering()
    low, high = ax.get_ylim()
    assert low > 0
    assert high < 2.1


def test_no_interval_is_drawn_beyond_what_its_scale_knows() -> None:
    wide = {"wide": np.array([[0.001, 0.9, 0.95], [0.002, 0.01, 0.4]])}
    assert mean_interval(wide["wide"][0])[1] > 1
    assert mean_interval(wide["wide"][1])[0] < 0
    percent = plot_levels((1, 2), wide, xlabel="level")
    assert drawn_ends(percent).min() == 0
    assert drawn_ends(percent).max() == 1
    assert percent.get_ylim()[0] >= 0
    assert percent.get_ylim()[1] <= 1
    log = plot_levels((1, 2), wide, xlabel="level", scale="log")
    log.get_figure(root=True).draw_without_rendering()
    assert log.get_ylim()[0] > 1e-3
    containers: list[Any] = log.containers
    assert all(part.get_clip_on() for part in (*containers[0].lines[1], *containers[0].lines[2]))


@pytest.mark.parametrize("levels", [1, 2, 7])
def test_methods_of_the_same_scores_stand_beside_each_other(levels: int) -> None:
    scores = np.linspace(0.5, 0.8, levels)[:, None]
    ax = plot_levels(range(levels), dict.fromkeys("abc", scores), xlabel="level")
    containers: list[Any] = ax.containers
    places = np.array([container.lines[0].get_xdata() for container in containers])
    np.testing.assert_allclose(places.mean(0), range(levels), atol=1e-12)
    ax.get_figure(root=True).draw_without_rendering()
    left, right = ax.transData.transform([(places[0, 0], 0.5), (places[1, 0], 0.5)])[:, 0]
    assert 5.5 < 72 / 100 * (right - left) < 9  # points: a marker's size and more, whatever the number of levels


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((0.9, 1.0), ["90%", "100%"]),
        ((0.9, 0.925, 1.0), ["90.0%", "92.5%", "100.0%"]),
        ((0.29, 0.3), ["29%", "30%"]),
        ((0.9991, 1.0), ["99.91%", "100.00%"]),
    ],
)
def test_percents_have_the_decimals_that_they_need(values: tuple[float, ...], told: list[str]) -> None:
    assert PercentTicks().format_ticks(values) == told
