"""The Triton engine agrees with the reference: on a GPU where there is one, otherwise under Triton's interpreter."""

import pytest
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.kernels.engines.cuda.engine import CudaEngine
from convrfm.kernels.engines.protocol import Gradient
from convrfm.kernels.engines.reference import ReferenceEngine
from convrfm.kernels.infinite import InfiniteWidthKernel
from convrfm.kernels.recursion.recursion import embed

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MIXED = kernels.Architecture(
    kernels.Conv(3, 1.2, 0.3, "same"), kernels.LeakyReLU(0.1),
    kernels.Conv(2, 1.1, 0.2, "circular"), kernels.ReLU(),
    kernels.Conv(3, stride=2), kernels.ABReLU(-0.2, 1.0), kernels.Flatten(1.1, 0.2),
)  # fmt: skip
WHOLE, PARTS = 1 << 29, 3000  # bytes: one tile, and many
CASES = {
    "one activation": (kernels.NTK(kernels.vanilla(1)), WHOLE),
    "vanilla": (kernels.NTK(kernels.vanilla(2)), WHOLE),
    "mixed": (kernels.NTK(MIXED), WHOLE),
    "mixed NNGP": (kernels.NNGP(MIXED), WHOLE),
    "many tiles": (kernels.NTK(kernels.vanilla(1)), PARTS),
}


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


@pytest.mark.parametrize(("kernel", "tile"), CASES.values(), ids=CASES)
def test_tiles_and_gradients_are_those_of_the_reference(kernel: InfiniteWidthKernel, tile: int) -> None:
    x, z, coef = draw(3, 2, 5, 6, seed=1), draw(4, 2, 5, 6, seed=2), draw(4, 2, seed=3)
    x[0, :, :3] = 0
    A = draw(2 * kernel.patch_size**2, 2 * kernel.patch_size**2, seed=4)
    recursion, engine = kernel.recursion, CudaEngine().bind(kernel.recursion, tile)
    reference = type(kernel)(kernel.architecture, engine="reference")
    a, b = (embed(recursion, images, A / len(A) ** 0.5, with_patches=True) for images in (x, z))
    M = A.T @ A / len(A)
    expected = reference(x, z, feature_matrix=M)
    torch.testing.assert_close(engine.kernel(a, b), expected, rtol=1e-5, atol=1e-6)
    fast, slow = Gradient.zeros(a, 2), Gradient.zeros(a, 2)
    engine.add_gradient(a, b, coef, fast)
    ReferenceEngine().bind(recursion, 1 << 29).add_gradient(a, b, coef, slow)
    torch.testing.assert_close(fast.patches, slow.patches, rtol=1e-3, atol=1e-5)
    for of_fast, of_slow in zip(fast.variances, slow.variances, strict=True):
        torch.testing.assert_close(of_fast, of_slow, rtol=1e-3, atol=1e-5)


def test_kernels_take_it_by_name() -> None:
    x, z, coef = draw(3, 1, 4, 5, seed=1), draw(2, 1, 4, 5, seed=2), draw(2, 1, seed=3)
    fast, slow = (kernels.NTK(kernels.vanilla(1), engine=name) for name in ("cuda", "reference"))
    torch.testing.assert_close(fast(x), slow(x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(fast.agop(x, z, coef), slow.agop(x, z, coef), rtol=1e-4, atol=1e-7)


def test_it_serves_what_it_can_compute() -> None:
    erf = kernels.Architecture(kernels.Conv(3), kernels.Erf(), kernels.Flatten())
    pooled = kernels.Architecture(kernels.Conv(3), kernels.ReLU(), kernels.GlobalAvgPool())
    deep = kernels.Architecture(kernels.Conv(3), kernels.Conv(3), kernels.ReLU(), kernels.Flatten())
    device = torch.device(DEVICE)
    obstacle = CudaEngine().obstacle
    assert obstacle(kernels.NTK(MIXED).recursion, device, torch.float32) is None
    assert "float32" in str(obstacle(kernels.NTK(MIXED).recursion, device, torch.float64))
    for architecture in (erf, pooled, deep):
        assert obstacle(kernels.NTK(architecture).recursion, device, torch.float32) is not None
