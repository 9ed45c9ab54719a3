"""Similarities from sums are those of the entries themselves."""

import numpy as np
import pytest
import torch

from convrfm.maths.similarity import gram_similarity, similarity
from convrfm.maths.spectra import effective_rank


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_similarity_is_numpys(generator: torch.Generator) -> None:
    a, b = torch.randn(2, 6, 5, generator=generator, dtype=torch.float64)
    found = similarity(a, b)
    assert float(found.pearson) == pytest.approx(np.corrcoef(a.flatten(), b.flatten())[0, 1], abs=1e-12)
    assert float(found.cosine) == pytest.approx(float((a * b).sum() / (a.norm() * b.norm())), abs=1e-12)


def test_grams_compare_without_being_formed(generator: torch.Generator) -> None:
    a, b = (torch.randn(2, rows, 7, generator=generator, dtype=torch.float64) for rows in (3, 5))
    torch.testing.assert_close(gram_similarity(a, b), similarity(a.mT @ a, b.mT @ b))


def test_similarity_with_nothing_is_undefined() -> None:
    assert similarity(torch.zeros(3), torch.ones(3)).cosine.isnan()
    assert similarity(torch.ones(3), torch.arange(3.0)).pearson.isnan()


def test_effective_rank_counts_equal_eigenvalues(generator: torch.Generator) -> None:
    basis = torch.linalg.qr(torch.randn(6, 4, generator=generator, dtype=torch.float64)).Q
    assert effective_rank(basis @ basis.T) == pytest.approx(4)
    assert effective_rank(torch.eye(2).expand(3, 2, 2)) == pytest.approx(6)
