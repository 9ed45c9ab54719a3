"""Rounds of several layers in one picture."""

from typing import Any

import numpy as np

from convrfm.plots import plot_layers

TRAIN = [np.array([0.9, 1.0, 1.0]), np.array([0.95, 1.0])]
HELD_OUT = [np.array([0.7, 0.8, 0.75]), np.array([0.8, 0.85])]


def test_every_layer_has_its_own_line_beside_the_one_before() -> None:
    ax = plot_layers(TRAIN, HELD_OUT, chosen=[1, 0], judge="cross-validation")
    drawn = [line for line in ax.lines if line.get_marker() == "s"]
    assert [line.get_xdata().tolist() for line in drawn] == [[0, 1, 2], [3, 4]]
    for line, scores in zip(drawn, HELD_OUT, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), scores)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "2", "0", "1"]
    assert [text.get_text() for text in ax.texts] == ["layer 1", "layer 2"]


def test_kept_rounds_are_marked_and_the_legend_names_each_thing_once() -> None:
    ax = plot_layers(TRAIN, HELD_OUT, chosen=[1, 0])
    patches: list[Any] = list(ax.patches)
    bands = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in patches]
    assert all(low < at < high for (low, high), at in zip(bands, (1, 3), strict=True))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "leave-one-out", "training images", "kept round"
    ]  # fmt: skip
    ax.get_figure(root=True).draw_without_rendering()
