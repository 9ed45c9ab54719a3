import numpy as np
import pytest

from convrfm.errors import InputError
from convrfm.plots import effective_rank, plot_spectra, plot_spectrum


@pytest.mark.parametrize("k", [1, 3, 9])
def test_effective_rank_of_a_projection_is_its_rank(k: int) -> None:
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((9, k)))[0]
    assert effective_rank(5.0 * basis @ basis.T) == pytest.approx(k)


def test_line_is_the_eigenvalues_without_those_that_are_zero() -> None:
    ax = plot_spectrum(np.diag([4.0, 0.0, 1.0, 0.25]))
    reference, line = ax.lines
    np.testing.assert_array_equal(line.get_ydata(), [4.0, 1.0, 0.25, np.nan])
    assert reference.get_ydata()[0] == pytest.approx(5.25 / 4)
    assert ax.get_yscale() == "log"


def test_identity_lies_on_its_reference() -> None:
    ax = plot_spectrum(np.eye(9, dtype=np.float32))
    ax.get_figure(root=True).draw_without_rendering()
    assert ax.get_title(loc="left") == "effective rank 9.0 of 9"


@pytest.mark.parametrize("spread", [1.0, 1.3, 5.0, 1e3, 1e7])
def test_a_spectrum_has_ticks_to_read_it_by_and_what_is_flat_looks_flat(spread: float) -> None:
    M = np.diag(np.geomspace(1, spread, 9))
    for ax in (plot_spectrum(M), plot_spectra([M])):
        ax.get_figure(root=True).draw_without_rendering()
        low, high = ax.get_ylim()
        assert high >= 9.99 * low
        labels = [label.get_text() for label in ax.get_yticklabels(which="both")]
        ticks = zip([*ax.get_yticks(), *ax.get_yticks(minor=True)], labels, strict=True)
        assert len([label for tick, label in ticks if label and low <= tick <= high]) >= 3


def test_a_matrix_without_trace_is_refused() -> None:
    with pytest.raises(InputError, match="positive trace"):
        effective_rank(np.zeros((4, 4)))


def test_spectra_are_relative_to_the_identity_of_each_layer() -> None:
    ax = plot_spectra([np.diag([4.0, 2.0, 0.0]), 7 * np.eye(5)])
    drawn = {line.get_label(): np.asarray(line.get_ydata()) for line in ax.lines}
    np.testing.assert_allclose(drawn["layer 1"], [2, 1, np.nan])
    np.testing.assert_allclose(drawn["layer 2"], np.ones(5))
    np.testing.assert_array_equal(drawn["identity"], 1)


def test_a_metric_that_was_no_identity_at_round_0_lies_beside_its_own_first_spectrum() -> None:
    metric, first = np.diag([4.0, 2.0, 1.0]), np.diag([1.0, 5.0, 1.0])
    reference, _ = plot_spectrum(metric, first_metric=first).lines
    np.testing.assert_allclose(reference.get_ydata(), [5, 1, 1])
    assert reference.get_label() == "round 0 (fixed kernel)"
