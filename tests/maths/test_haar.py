"""Parts of random rotations are orthonormal and uniformly distributed."""

import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor

from convrfm.maths.haar import haar_blocks, haar_frames

SHAPES = [(6, 6), (6, 4), (9, 2), (1, 1)]


def frames(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return haar_frames(shape, torch.Generator().manual_seed(seed), torch.float64)


def rotations(count: int, rows: int) -> Tensor:
    """Uniform, by another route: a product of reflections at uniform directions of growing dimension."""
    generator = torch.Generator().manual_seed(1)
    q = torch.eye(rows, dtype=torch.float64).repeat(count, 1, 1)
    for size in range(1, rows + 1):
        v = torch.randn(count, size, 1, generator=generator, dtype=torch.float64)
        v[:, :1] += v[:, :1].sign() * v.norm(dim=1, keepdim=True)
        v /= v.norm(dim=1, keepdim=True)
        corner = q[:, rows - size :, rows - size :]
        corner -= 2 * v @ (v.mT @ corner)
    return q


def assert_alike(found: Tensor, expected: Tensor) -> None:
    """Blocks of frames, by two weighted sums of their entries that a change of the distribution would move.

    Of square ones the second is a number, whose rounding says nothing.
    """
    weights = torch.linspace(-1, 2, found.shape[-2], dtype=torch.float64).unsqueeze(-1)
    for power in (1, 2):
        sums = [(b.mT @ (weights * b)).pow(power).sum((-2, -1)) for b in (found, expected)]
        ours, theirs = (each.round(decimals=9).numpy() for each in sums)
        assert ks_2samp(ours, theirs).pvalue > 1e-3


@pytest.mark.parametrize(("rows", "k"), SHAPES)
def test_frames_are_orthonormal_columns(rows: int, k: int) -> None:
    found = frames((3, 2, rows, k))
    torch.testing.assert_close(found.mT @ found, torch.eye(k, dtype=torch.float64).expand(3, 2, k, k))


@pytest.mark.parametrize(("rows", "k"), [(6, 4), (6, 6), (9, 2)])
def test_frames_are_columns_of_uniform_rotations(rows: int, k: int) -> None:
    assert_alike(frames((2000, rows, k)), rotations(2000, rows)[..., :k])


@pytest.mark.parametrize(("rows", "r", "k"), [(4, 4, 2), (5, 4, 3), (9, 3, 2), (12, 4, 4), (7, 4, 2)])
def test_blocks_are_the_first_rows_of_uniform_rotations(rows: int, r: int, k: int) -> None:
    blocks = haar_blocks((2000, r, k), rows, torch.Generator().manual_seed(2), torch.float64)
    assert_alike(blocks, rotations(2000, rows)[..., :r, :k])
