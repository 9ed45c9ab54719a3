import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from benchmarks.einsum_baseline import kernel
from benchmarks.tiled import TILE
from convrfm import kernels


def images(n: int, seed: int) -> Tensor:
    return torch.randn(n, 2, 9, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("with_itself", [True, False])
@pytest.mark.parametrize("with_metric", [True, False])
@pytest.mark.parametrize("kind", [kernels.NTK, kernels.NNGP])
def test_the_baseline_computes_the_same_kernels(
    kind: type[kernels.NTK | kernels.NNGP], with_metric: bool, with_itself: bool
) -> None:
    x, z = images(TILE + 5, 0), None if with_itself else images(TILE + 2, 1)
    root = torch.randn(18, 18, generator=torch.Generator().manual_seed(2)) if with_metric else None
    metric = None if root is None else root.T @ root
    expected = kind(kernels.vanilla(3), engine="reference")(x, z, feature_matrix=metric)
    found = kernel(x, z, 3, root, tangent=kind is kernels.NTK)
    assert_close(found, expected, rtol=5e-4, atol=0)  # its own arc cosine is inaccurate at coincident patches
    if z is not None:
        assert_close(found, expected, rtol=1e-5, atol=0)
