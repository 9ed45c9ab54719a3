"""Tiles cover every pair once."""

import pytest
import torch

from convrfm.kernels.tiling import tiles


@pytest.mark.parametrize(
    ("rows", "cols", "pairs", "height"), [(5, 7, 6, None), (300, 500, 30_000, None), (300, 500, 90_000, 180)]
)
def test_every_pair_is_in_one_tile_and_no_tile_is_too_large(
    rows: int, cols: int, pairs: int, height: int | None
) -> None:
    times = torch.zeros(rows, cols)
    for down, across in tiles(rows, cols, pairs, symmetric=False, height=height):
        assert times[down, across].numel() <= pairs
        assert across == slice(0, cols) or height is None
        times[down, across] += 1
    assert torch.equal(times, torch.ones_like(times))


def test_symmetric_tiles_cover_the_upper_half() -> None:
    times = torch.zeros(300, 300)
    for down, across in tiles(300, 300, 20_000, symmetric=True):
        times[down, across] += 1
    assert torch.equal(times.triu(), torch.ones_like(times).triu())
    assert times.sum() < times.numel()
