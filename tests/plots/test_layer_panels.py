"""Panels by layer, and a training along its epochs: what is drawn is what was given."""

import numpy as np
from scipy import stats

from convrfm.plots import plot_training
from convrfm.plots.panels import plot_layer_panels


def test_every_panel_shows_means_and_student_s_intervals() -> None:
    values = {name: np.random.default_rng(seed).random((4, 5)) for seed, name in enumerate("ab")}
    figure = plot_layer_panels(
        {"row": {"left": values, "right": {name: v / 2 for name, v in values.items()}}}, "cosine"
    )
    left, right = figure.axes
    assert [ax.get_title(loc="left") for ax in (left, right)] == ["left, row", "right, row"]
    for ax, scale in ((left, 1.0), (right, 0.5)):
        for container, of_line in zip(ax.containers, values.values(), strict=True):
            line, _, (bars,) = container
            np.testing.assert_allclose(line.get_ydata(), scale * of_line.mean(1))
            ends = np.array([segment[:, 1] for segment in bars.get_segments()])
            reach = stats.t.ppf(0.975, 4) * scale * of_line.std(1, ddof=1) / np.sqrt(5)
            np.testing.assert_allclose(ends[:, 1] - ends[:, 0], 2 * reach)


def test_a_training_shows_its_accuracies_and_a_line_for_every_layer() -> None:
    layers = np.random.default_rng(0).random((3, 6))
    accuracies = {"test images": np.array([0.2, 0.4, 0.6, 0.5])}
    left, right = plot_training(accuracies, [0, 2, 4], layers, kept=3, quantity="correlation").axes
    np.testing.assert_array_equal(left.lines[0].get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(left.lines[0].get_ydata(), accuracies["test images"])
    for line, of_layer in zip(right.lines, layers.T, strict=False):
        np.testing.assert_array_equal(line.get_xdata(), [0, 2, 4])
        np.testing.assert_array_equal(line.get_ydata(), of_layer)
    assert right.get_ylabel() == "correlation"
