"""Intervals from few large parts cover as often as they say."""

import pytest
import torch

from convrfm.cnfa.moments import PartSums
from convrfm.cnfa.spread import LeftOut, resampled
from convrfm.maths.spectra import RowSpace


@pytest.mark.parametrize("sizes", [[8, 10, 12], [10, 20, 20, 25, 25]])
def test_intervals_from_parts_left_out_in_turn_cover(sizes: list[int]) -> None:
    """Of sums of outer products of random gradients, whose mean is known."""
    generator = torch.Generator().manual_seed(0)
    space = RowSpace.of(torch.randn(1, 6, 6, generator=generator, dtype=torch.float64))
    cnfm = space.cnfm_core
    root = torch.randn(6, 6, generator=generator, dtype=torch.float64) + 2 * torch.eye(6, dtype=torch.float64)

    def sums(parts: torch.Tensor) -> PartSums:
        flat = parts.flatten(1)
        totals = torch.einsum("r,nrs,s->n", space.ones[0], parts, space.ones[0])
        return PartSums(flat @ flat.T, flat @ cnfm.flatten(), totals)

    truth = resampled(sums((root @ root.T)[None]), space, torch.ones(1, 1, dtype=torch.float64))
    covered = []
    for _ in range(120):
        gradients = torch.randn(sum(sizes), 6, generator=generator, dtype=torch.float64) @ root.T
        found = sums(torch.stack([part.T @ part for part in gradients.split(sizes)]))
        plain = resampled(found, space, torch.ones(1, len(sizes), dtype=torch.float64))
        intervals = LeftOut(sizes, 0.95).intervals([value[0] for value in plain], found, space)
        covered += [low <= float(true) <= high for (low, high), true in zip(intervals, truth, strict=True)]
    assert 0.91 < sum(covered) / len(covered) < 0.99
