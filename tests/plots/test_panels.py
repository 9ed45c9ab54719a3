"""Feature maps, matrices and correlations: what is drawn is what was given."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from convrfm.plots import plot_correlations, plot_feature_maps, plot_groups, plot_matrices

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_maps_are_drawn_each_on_its_own_scale(channels: int) -> None:
    before, after = RNG.random((2, 2, 6, 10))
    deeper = RNG.random((2, 4, 8))
    maps = {"before": before, "after": 1000 * after, "deeper": deeper}
    figure = plot_feature_maps(RNG.standard_normal((2, channels, 8, 12)), maps)
    panels = np.array(figure.axes).reshape(2, 4)
    assert [ax.get_title(loc="left") for ax in panels[0]] == ["image", *maps]
    for row, *shown in zip(panels, *maps.values(), strict=True):
        for ax, feature_map in zip(row[1:], shown, strict=True):
            np.testing.assert_array_equal(ax.images[0].get_array(), feature_map)
            assert ax.images[0].get_clim() == (feature_map.min(), feature_map.max())


def test_matrices_share_one_symmetric_scale() -> None:
    matrices = {"a": np.array([[1.0, -3.0], [-3.0, 2.0]]), "b": np.eye(3)}
    figure = plot_matrices(matrices)
    drawn = [ax.images[0] for ax in figure.axes if ax.images]
    for image, matrix in zip(drawn, matrices.values(), strict=False):
        np.testing.assert_array_equal(image.get_array(), matrix)
        assert image.get_clim() == (-3.0, 3.0)


def test_zero_matrices_can_be_drawn() -> None:
    plot_matrices({"zero": np.zeros((2, 2))}).draw_without_rendering()


def test_bars_are_the_correlations_and_gaps_stay_gaps() -> None:
    series = {"trained": np.array([0.9, np.nan]), "initial": np.array([0.1, -0.6])}
    interval = np.array([[0.05, 0.2], [-0.58, -0.5]])  # corrected for bias, the second does not hold its value
    ax = plot_correlations(["conv1", "conv2"], series, {"initial": interval})
    heights = {bars.get_label(): bars.datavalues for bars in ax.containers if hasattr(bars, "datavalues")}
    np.testing.assert_array_equal(heights["trained"], series["trained"])
    np.testing.assert_array_equal(heights["initial"], series["initial"])
    assert ax.get_ylim()[0] < -0.6
    (bars,) = [lines for lines in ax.collections if isinstance(lines, LineCollection)]
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], interval)
    ax.get_figure(root=True).draw_without_rendering()


def test_groups_show_means_and_their_intervals() -> None:
    """Of three seeds Student's 95% interval reaches 4.303 standard errors; none is drawn beyond 100%."""
    scores = {"NTK": np.array([[0.5, 0.5, 0.5], [0.3, 0.4, 0.5]]), "CNN": np.array([[0.7, 0.9, 1.0], [0.1, 0.1, 0.1]])}
    ax = plot_groups(["bars", "digits"], scores)
    bars = {container.get_label(): container for container in ax.containers if hasattr(container, "datavalues")}
    for name, values in scores.items():
        np.testing.assert_allclose(bars[name].datavalues, values.mean(1))
    first, second = ax.collections
    assert isinstance(first, LineCollection)
    assert isinstance(second, LineCollection)
    heights = [float(segment[1, 1] - segment[0, 1]) for segment in first.get_segments()]
    np.testing.assert_allclose(heights, [0.0, 2 * 4.303 * 0.1 / 3**0.5], rtol=1e-3)
    assert second.get_segments()[0][1, 1] == 1
    assert [label.get_text() for label in ax.get_xticklabels()] == ["bars", "digits"]
