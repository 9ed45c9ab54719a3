"""Similarities from sums are those of the entries themselves."""

import numpy as np
import pytest
import torch

from convrfm.maths.psd import psd_power
from convrfm.maths.similarity import core_similarity, gram_similarity, similarity
from convrfm.maths.spectra import RowSpace, effective_rank


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def random_psd(generator: torch.Generator, *shape: int) -> torch.Tensor:
    factor = torch.randn(*shape, shape[-1], generator=generator, dtype=torch.float64)
    return factor @ factor.mT


def test_similarity_is_numpys(generator: torch.Generator) -> None:
    a, b = torch.randn(2, 6, 5, generator=generator, dtype=torch.float64)
    found = similarity(a, b)
    assert float(found.pearson) == pytest.approx(np.corrcoef(a.flatten(), b.flatten())[0, 1], abs=1e-12)
    assert float(found.cosine) == pytest.approx(float((a * b).sum() / (a.norm() * b.norm())), abs=1e-12)


@pytest.mark.parametrize(("groups", "rows", "d"), [(1, 4, 9), (1, 9, 4), (3, 2, 5), (6, 1, 4)])
def test_cores_compare_as_the_matrices_of_patches(groups: int, rows: int, d: int, generator: torch.Generator) -> None:
    filters = torch.randn(groups, rows, d, generator=generator, dtype=torch.float64)
    covariance = random_psd(generator, groups, rows)
    space = RowSpace.of(filters)
    agop = filters.mT @ covariance @ filters
    cnfm = filters.mT @ filters
    found = core_similarity(space.cnfm_core, space.core(covariance), space.ones, groups * d * d)
    expected = similarity(cnfm, agop)
    torch.testing.assert_close(found, expected)
    half = core_similarity(space.cnfm_core, psd_power(space.core(covariance), 0.5), space.ones, groups * d * d)
    root = psd_power(agop, 0.5)
    torch.testing.assert_close(root @ root, agop)
    torch.testing.assert_close(half, similarity(cnfm, root), rtol=1e-6, atol=1e-6)


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
