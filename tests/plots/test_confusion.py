import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from convrfm.errors import InputError
from convrfm.plots import confusion_counts, plot_confusion, row_shares


@pytest.mark.parametrize("classes", [["a", "b", "c"], [3, 5, 8], [0.5, 1.5, 2.5]], ids=str)
def test_counts_agree_with_scikit_learn(classes: list[object]) -> None:
    generator = np.random.default_rng(0)
    codes_true, codes_pred = generator.integers(0, 3, (2, 200))
    y_true, y_pred = np.array(classes)[codes_true], np.array(classes)[codes_pred]
    expected = confusion_matrix(codes_true, codes_pred)
    np.testing.assert_array_equal(confusion_counts(y_true, y_pred, np.array(classes)), expected)


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(InputError, match="one of the 2 classes"):
        confusion_counts(np.array([0, 1]), np.array([0, 7]), [0, 1])


def test_rows_sum_to_one_and_empty_rows_are_absent() -> None:
    shares = row_shares(np.array([[3, 1], [0, 0]]))
    np.testing.assert_array_equal(shares, [[0.75, 0.25], [np.nan, np.nan]])


@pytest.mark.parametrize("k", [2, 20, 21, 43, 100])
def test_colors_are_shares_and_numbers_are_counts(k: int) -> None:
    counts = np.random.default_rng(0).integers(0, 9, (k, k)) + 50 * np.eye(k, dtype=np.int64)
    ax = plot_confusion(counts, [f"class {i}" for i in range(k)])
    np.testing.assert_allclose(ax.images[0].get_array(), row_shares(counts))
    numbers = [int(text.get_text()) for text in ax.texts]
    assert numbers == (counts.ravel().tolist() if k <= 20 else [])
    assert len(ax.get_xticklabels()) <= 25


def test_class_names_are_never_read_as_formulas() -> None:
    ax = plot_confusion(np.eye(2, dtype=np.int64), [r"$\frac{", "猫"])
    ax.get_figure(root=True).draw_without_rendering()
    assert [label.get_text() for label in ax.get_yticklabels()] == [r"$\frac{", "#1"]
