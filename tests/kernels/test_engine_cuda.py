"""The Triton engine agrees with the reference: on a GPU where there is one, otherwise under Triton's interpreter."""

from functools import partial

import pytest
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.kernels.engines.cuda import engine, strips
from convrfm.kernels.engines.cuda.blocks import Blocks, Cuts
from convrfm.kernels.engines.cuda.engine import CudaEngine
from convrfm.kernels.engines.protocol import AdjointEngine, Gradient
from convrfm.kernels.infinite import InfiniteWidthKernel

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytestmark = pytest.mark.filterwarnings("ignore:divide by zero")  # NumPy, of the reciprocal of a zero patch's root

DEEP = kernels.Architecture(  # two runs, windows of all kinds
    kernels.Conv(2, 1.2, 0.3, "same"), kernels.LeakyReLU(0.1),
    kernels.Conv(3, 1.1, 0.2, "same"), kernels.ReLU(),
    kernels.Conv(2, 0.9, 0.1), kernels.ABReLU(-0.2, 1.0),
    kernels.Conv(1), kernels.ReLU(),
    kernels.Flatten(1.1, 0.2),
)  # fmt: skip
PADDED = kernels.Architecture(
    kernels.Conv(3, padding="same"),
    kernels.ReLU(),
    kernels.Conv(3, 1.1, 0.2, "same"),
    kernels.ReLU(),
    kernels.Flatten(),
)
CASES: dict[str, InfiniteWidthKernel] = {
    "one activation": kernels.NTK(kernels.vanilla(1)),
    "vanilla": kernels.NTK(kernels.vanilla(2)),
    "padded NNGP": kernels.NNGP(PADDED),
    "deep": kernels.NTK(DEEP),
}


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the smallest images take several blocks and strips, the last ones not full."""
    small = Blocks(rows=2, partners=2, lanes=4, warps=1)
    if DEVICE == "cpu":
        monkeypatch.setattr(engine, "BoundStrips", partial(strips.BoundStrips, cuts=Cuts(small, small, small)))


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def images() -> tuple[Tensor, Tensor]:
    x, z = draw(3, 1, 5, 5, seed=1), draw(3, 1, 5, 5, seed=2)
    x[0, :, :4] = 0
    z[0] = x[1]
    return x, z


def metric(kernel: InfiniteWidthKernel) -> Tensor:
    root = draw(kernel.patch_size**2, kernel.patch_size**2, seed=4).double()
    return (root.T @ root / len(root)).float()


def reference(kernel: InfiniteWidthKernel) -> InfiniteWidthKernel:
    return type(kernel)(kernel.architecture, engine="reference")


def fast(kernel: InfiniteWidthKernel, **settings: int) -> InfiniteWidthKernel:
    return type(kernel)(kernel.architecture, engine="cuda", **settings)


@pytest.mark.parametrize("kernel", CASES.values(), ids=CASES)
def test_kernels_are_those_of_the_reference(kernel: InfiniteWidthKernel) -> None:
    (x, z), M = images(), metric(kernel)
    expected = reference(kernel)(x.double(), z.double(), feature_matrix=M.double())
    torch.testing.assert_close(fast(kernel)(x, z, feature_matrix=M).double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", CASES.values(), ids=CASES)
def test_gradients_are_those_of_the_reference(kernel: InfiniteWidthKernel) -> None:
    (x, z), M, coef = images(), metric(kernel), draw(3, 2, seed=3)
    expected = reference(kernel).patch_gradients(x, z, coef, feature_matrix=M)
    found = fast(kernel).patch_gradients(x, z, coef, feature_matrix=M)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_tiles_make_up_the_whole() -> None:
    (x, z), coef, kernel = images(), draw(3, 2, seed=3), kernels.NTK(kernels.vanilla(1))
    cut = fast(kernel, memory_budget=2000)
    torch.testing.assert_close(cut(x), reference(kernel)(x), rtol=1e-5, atol=1e-6)
    expected = reference(kernel).patch_gradients(x, z, coef)
    torch.testing.assert_close(cut.patch_gradients(x, z, coef), expected, rtol=1e-4, atol=1e-6)


def test_adjoints_one_by_one_add_up_to_the_gradient() -> None:
    (x, z), coef = images(), draw(3, 2, seed=3)
    kernel = kernels.NTK(kernels.vanilla(2))
    bound = CudaEngine().bind(kernel.recursion, 3 * 2000)
    assert isinstance(bound, AdjointEngine)
    a, b = (bound.embed(of, None, patches="kept") for of in (x, z))
    variances = [q.new_zeros(len(q), 2, *q.shape[1:]) for q in a.variances]
    adjoints = torch.cat([tile for _, tile in bound.adjoints(a, b, coef, variances)], 1)
    expected = torch.einsum("uxi,uri,ik->uxkr", adjoints, b.side, coef)
    total = Gradient.zeros(a, 2)
    bound.add_gradient(a, b, coef, total)
    torch.testing.assert_close(total.patches, expected, rtol=1e-4, atol=1e-6)
    for summed, of_level in zip(total.variances, variances, strict=True):
        torch.testing.assert_close(summed, of_level, rtol=1e-4, atol=1e-6)


def test_it_serves_what_it_can_compute() -> None:
    erf = kernels.Architecture(kernels.Conv(3), kernels.Erf(), kernels.Flatten())
    strided = kernels.Architecture(
        kernels.Conv(3), kernels.ReLU(), kernels.Conv(3, stride=2), kernels.ReLU(), kernels.Flatten()
    )
    pooled = kernels.Architecture(kernels.Conv(3), kernels.ReLU(), kernels.GlobalAvgPool())
    device = torch.device(DEVICE)
    obstacle = CudaEngine().obstacle
    assert obstacle(kernels.NTK(DEEP).recursion, device, torch.float32) is None
    assert "float32" in str(obstacle(kernels.NTK(DEEP).recursion, device, torch.float64))
    for architecture in (erf, strided, pooled):
        assert obstacle(kernels.NTK(architecture).recursion, device, torch.float32) is not None
