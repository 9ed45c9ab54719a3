import numpy as np
import pytest

from convrfm.errors import InputError
from convrfm.plots import leading_eigenvectors, plot_eigenvectors

PATCH_SHAPES = [(1, 3, 3), (3, 3, 3), (1, 11, 11), (3, 11, 11), (2, 5, 5), (7, 1, 1), (3, 1, 1), (16, 3, 3)]


def random_metric(d: int, seed: int = 0) -> np.ndarray:
    a = np.random.default_rng(seed).standard_normal((d, d))
    return a @ a.T / d


@pytest.mark.parametrize("shape", PATCH_SHAPES, ids=str)
def test_patches_are_eigenvectors_and_shares_are_eigenvalues_over_the_trace(
    shape: tuple[int, int, int],
) -> None:
    M = random_metric(int(np.prod(shape)))
    patches, shares = leading_eigenvectors(M, shape)
    for patch, share in zip(patches, shares, strict=True):
        v = patch.ravel()
        np.testing.assert_allclose(M @ v, share * np.trace(M) * v, atol=1e-9)
        assert np.linalg.norm(v) == pytest.approx(1.0)
    assert (np.diff(shares) <= 0).all()


def test_largest_entry_is_positive() -> None:
    for seed in range(5):
        for patch in leading_eigenvectors(random_metric(27, seed), (3, 3, 3)).patches:
            assert patch.ravel()[np.abs(patch).argmax()] > 0


@pytest.mark.parametrize("shape", PATCH_SHAPES, ids=str)
def test_each_panel_shows_its_eigenvector(shape: tuple[int, int, int]) -> None:
    M = random_metric(int(np.prod(shape)))
    patches, shares = leading_eigenvectors(M, shape)
    figure = plot_eigenvectors(M, shape)
    figure.draw_without_rendering()
    drawn = [ax for ax in figure.axes if ax.images]
    assert len(drawn) == len(shares) == min(8, len(M))
    for ax, patch, share in zip(drawn, patches, shares, strict=True):
        shown = np.ma.filled(ax.images[0].get_array(), np.nan)
        q = shape[1]
        first = (2 * shown[..., 0] - 1) if shape[0] == 3 else shown[:q, :q]
        np.testing.assert_allclose(first, patch[0] / np.abs(patch).max(), atol=1e-12)
        assert f"{share:.1%} of trace" in ax.get_title(loc="left")


def test_a_patch_shape_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="patch_shape"):
        leading_eigenvectors(np.eye(9), (3, 3, 3))


def test_a_matrix_without_trace_is_refused() -> None:
    with pytest.raises(InputError, match="positive trace"):
        leading_eigenvectors(np.zeros((9, 9)), (1, 3, 3))
