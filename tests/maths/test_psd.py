"""Powers and factors of positive semidefinite matrices."""

import pytest
import torch

from convrfm.errors import InputError
from convrfm.maths.psd import psd_factor, psd_power, scale_to_trace


def matrix(rank: int = 5) -> torch.Tensor:
    A = torch.randn(5, rank, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return A @ A.T


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_a_factor_multiplies_back_and_has_the_rank_of_the_matrix(rank: int) -> None:
    factor = psd_factor(matrix(rank))
    assert factor.shape == (rank, 5)
    torch.testing.assert_close(factor.T @ factor, matrix(rank))


def test_matrices_in_single_precision_are_decomposed_in_double(monkeypatch: pytest.MonkeyPatch) -> None:
    """In single precision LAPACK gave up on a metric of 576 entries that deep ConvRFM had learned."""
    A = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    expected = psd_factor(A @ A.T)
    eigh = torch.linalg.eigh

    def as_lapack_may(matrix: torch.Tensor) -> object:
        if matrix.dtype == torch.float32:
            raise torch.linalg.LinAlgError("failed to converge")
        return eigh(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", as_lapack_may)
    factor = psd_factor(A @ A.T)
    torch.testing.assert_close(factor, expected, rtol=0, atol=0)
    torch.testing.assert_close(factor.T @ factor, A @ A.T)
    assert factor.shape == (4, 9)


def test_rounding_of_single_precision_counts_as_that_in_double_too() -> None:
    A = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    rounded = A @ A.T
    rounded[0, 1] = torch.nextafter(rounded[0, 1], rounded[0, 1] + 1)
    wide = rounded.double()
    assert torch.linalg.eigvalsh(wide)[0] < -1e-10
    factor = psd_factor(wide)
    torch.testing.assert_close(factor.T @ factor, wide, rtol=0, atol=1e-6)
    with pytest.raises(InputError, match="symmetric"):
        psd_factor(wide / 3)


def test_the_zero_matrix_has_a_factor_of_one_zero_row() -> None:
    assert (psd_factor(torch.zeros(3, 3)) == torch.zeros(1, 3)).all()


def test_powers_compose() -> None:
    root = psd_power(matrix(), 0.5)
    torch.testing.assert_close(root @ root, matrix())
    torch.testing.assert_close(psd_power(matrix(), 2.0), matrix() @ matrix())


def test_scaling_sets_the_trace() -> None:
    torch.testing.assert_close(scale_to_trace(matrix(), 5.0).trace().item(), 5.0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (-torch.eye(3), "positive semidefinite"),
        (torch.ones(3, 3).triu(), "symmetric"),
        (torch.eye(3) * torch.nan, "finite"),
    ],
)
def test_what_is_no_metric_is_refused_in_words(wrong: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        psd_factor(wrong)


def test_a_diagonal_matrix_is_factored_as_it_is() -> None:
    for diagonal in (torch.ones(4), torch.tensor([4.0, 0.0, 9.0, 1.0])):
        factor = psd_factor(diagonal.diag())
        assert len(factor) == int((diagonal > 0).sum())
        assert torch.equal(factor.T @ factor, diagonal.diag())
    assert torch.equal(psd_factor(torch.eye(4)), torch.eye(4))
