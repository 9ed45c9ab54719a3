import pytest
import torch
from torch.testing import assert_close

from benchmarks.tiled import TILE, kernel_matrix


@pytest.mark.parametrize("m", [None, 2 * TILE + 1])
def test_tiles_make_up_the_whole_matrix(m: int | None) -> None:
    n = 2 * TILE + 3
    x = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    z = x if m is None else torch.randn(m, 4, generator=torch.Generator().manual_seed(1))
    assert_close(kernel_matrix(lambda i, j: x[i] @ z[j].T, n, m), x @ z.T)
