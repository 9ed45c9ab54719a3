from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from convrfm.plots import plot_layers, plot_rounds

TRAIN = np.array([0.9, 1.0, 1.0])
LOO = np.array([0.7, 0.8, 0.75])
TEST = np.array([0.65, 0.7, np.nan])


def lines(ax: Axes) -> dict[str, np.ndarray]:
    return {str(line.get_label()): np.asarray(line.get_ydata()) for line in ax.lines}


def test_lines_are_the_scores_and_the_reference_is_round_zero() -> None:
    ax = plot_rounds(TRAIN, LOO, TEST, np.stack([TEST - 0.1, TEST + 0.05], axis=1), chosen=1)
    shown = lines(ax)
    np.testing.assert_array_equal(shown["training images"], TRAIN)
    np.testing.assert_array_equal(shown["leave-one-out"], LOO)
    np.testing.assert_array_equal(shown["test"], TEST)
    np.testing.assert_array_equal(shown["fixed kernel"], TEST[0])


def test_error_bars_are_the_interval() -> None:
    interval = np.stack([TEST - 0.1, TEST + 0.05], axis=1)
    ax = plot_rounds(TRAIN, LOO, TEST, interval, chosen=1)
    bars: Any
    (bars,) = (c for c in ax.containers if c.get_label() == "95% interval")
    segments = bars.lines[2][0].get_segments()
    np.testing.assert_allclose([s[:, 1] for s in segments[:2]], interval[:2])


def test_without_test_scores_the_reference_is_leave_one_out() -> None:
    shown = lines(plot_rounds(TRAIN, LOO, chosen=0, task="regression"))
    assert "test" not in shown
    np.testing.assert_array_equal(shown["fixed kernel"], LOO[0])


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_the_chosen_round_is_marked(chosen: int) -> None:
    ax = plot_rounds(TRAIN, LOO, TEST, chosen=chosen)
    band: Any
    (band,) = (p for p in ax.patches if p.get_label() == "chosen round")
    assert band.get_x() < chosen < band.get_x() + band.get_width()


def test_accuracy_axis_stays_inside_zero_and_one() -> None:
    low, high = plot_rounds(np.ones(3), np.zeros(3), chosen=1).get_ylim()
    assert (low, high) == (0.0, 1.0)


def test_a_single_round_is_drawn() -> None:
    ax = plot_rounds(TRAIN[:1], LOO[:1], TEST[:1], chosen=0)
    ax.get_figure(root=True).draw_without_rendering()
    assert set(ax.get_xticks()) <= {-1, 0, 1}


def test_a_published_run_is_shown_and_training_images_may_be_left_out() -> None:
    published = np.array([0.6, 0.65, 0.7])
    shown = lines(plot_rounds(None, LOO, TEST, published=published, chosen=2))
    np.testing.assert_array_equal(shown["published"], published)
    assert "training images" not in shown


def test_no_round_is_marked_where_none_is_chosen() -> None:
    ax = plot_rounds(TRAIN, LOO, TEST, chosen=None, judge="cross-validation", steps="layers")
    assert not ax.patches
    assert ax.get_xlabel() == "layers"
    np.testing.assert_array_equal(lines(ax)["cross-validation"], LOO)


def test_scores_that_were_never_taken_have_no_entry_in_the_legend() -> None:
    nothing = np.full(3, np.nan)
    pictures = (
        plot_rounds(TRAIN, nothing, TEST, chosen=1),
        plot_layers([TRAIN, TRAIN], [nothing, nothing], chosen=[1, 1]),
    )
    for ax in pictures:
        assert "leave-one-out" not in {text.get_text() for text in ax.get_legend().get_texts()}
        assert "leave-one-out" not in lines(ax)
