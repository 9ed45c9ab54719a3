"""Bars of correlations stay readable for any number of layers."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from convrfm.plots import plot_correlations


@pytest.mark.parametrize("n_layers", [3, 26, 155, 400])
def test_every_layer_has_its_bars_and_names_do_not_touch(n_layers: int) -> None:
    names = [f"features.{i}.conv" for i in range(n_layers)]
    values = np.linspace(0.1, 0.9, n_layers)
    axes = plot_correlations(names, {"CNFM and AGOP": values, "the same, G rotated": values / 2})
    assert [bar.get_height() for bars in axes.containers for bar in bars] == pytest.approx([*values, *(values / 2)])
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    shown = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert axes.get_xticklabels()[0].get_text() == names[0]
    assert all(left.x1 <= right.x0 for left, right in pairwise(shown))
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["CNFM and AGOP", "the same, G rotated"]
    assert legend.get_window_extent().y0 >= axes.get_window_extent().y1 - 1
