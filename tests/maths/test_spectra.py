"""Row spaces and eigenpairs, where matrices are singular too."""

import pytest
import torch

from convrfm.maths import spectra
from convrfm.maths.spectra import RowSpace, eigenpairs


def filters(rows: int, d: int, singular: bool) -> torch.Tensor:
    filters = torch.randn(2, rows, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if singular:
        filters[:, -1] = filters[:, 0] - filters[:, 1]
    return filters


@pytest.mark.parametrize("singular", [False, True])
@pytest.mark.parametrize(("rows", "d"), [(4, 9), (9, 4), (5, 5)])
def test_a_row_space_has_the_gram_matrix_and_the_sums_of_its_filters(rows: int, d: int, singular: bool) -> None:
    w = filters(rows, d, singular)
    space = RowSpace.of(w)
    torch.testing.assert_close(space.left @ space.left.mT, w @ w.mT)
    torch.testing.assert_close((space.left @ space.ones.unsqueeze(-1)).squeeze(-1), w.sum(-1))
    torch.testing.assert_close(space.gain.mT @ space.gain, space.cnfm_core)
    torch.testing.assert_close(torch.linalg.svdvals(space.left), torch.linalg.svdvals(w), rtol=1e-7, atol=1e-7)


def test_filters_brought_to_double_in_pieces_have_the_same_gram_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    w = filters(4, 9, singular=False)
    monkeypatch.setattr(spectra, "GRAM_ENTRIES", 16)
    torch.testing.assert_close(spectra.row_gram(w), w @ w.mT)


def test_eigenvalues_that_rounding_makes_are_zero() -> None:
    factor = torch.randn(3, 6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values, vectors = eigenpairs(factor @ factor.mT)
    assert ((values > 0).sum(-1) == 2).all()
    torch.testing.assert_close((vectors * values.unsqueeze(-2)) @ vectors.mT, factor @ factor.mT)


def test_blocks_of_one_entry_are_their_own_eigenvalues() -> None:
    blocks = torch.tensor([4.0, 0.0, -1e-20]).reshape(3, 1, 1)
    values, vectors = eigenpairs(blocks)
    torch.testing.assert_close(values, torch.tensor([[4.0], [0.0], [0.0]]))
    torch.testing.assert_close(vectors, torch.ones(3, 1, 1))
