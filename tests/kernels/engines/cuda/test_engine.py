"""The Triton engine agrees with the reference: on a GPU where there is one, otherwise under Triton's interpreter."""

from typing import Any

import pytest
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.kernels import ABReLU, Architecture, AvgPool, Conv, Erf, Flatten, GlobalAvgPool, LeakyReLU, ReLU
from convrfm.kernels.engines.cuda import engine, layers, strips
from convrfm.kernels.engines.cuda.blocks import Blocks, Cuts
from convrfm.kernels.engines.cuda.engine import CudaEngine
from convrfm.kernels.engines.cuda.layers import BoundLayers
from convrfm.kernels.engines.cuda.strips import BoundStrips, Tile
from convrfm.kernels.engines.protocol import AdjointEngine, Gradient
from convrfm.kernels.infinite import InfiniteWidthKernel

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytestmark = pytest.mark.filterwarnings("ignore:divide by zero")  # NumPy, of the reciprocal of a zero patch's root

DEEP = Architecture(  # two runs, windows of all kinds
    Conv(2, 1.2, 0.3, "same"), LeakyReLU(0.1), Conv(3, 1.1, 0.2, "same"), ReLU(),
    Conv(2, 0.9, 0.1), ABReLU(-0.2, 1.0), Conv(1), ReLU(), Flatten(1.1, 0.2),
)  # fmt: skip
PADDED = Architecture(Conv(3, padding="same"), ReLU(), Conv(3, 1.1, 0.2, "same"), ReLU(), Flatten())
WALKED: dict[str, InfiniteWidthKernel] = {
    "one activation": kernels.NTK(kernels.vanilla(1)),
    "vanilla": kernels.NTK(kernels.vanilla(2)),
    "padded NNGP": kernels.NNGP(PADDED),
    "deep": kernels.NTK(DEEP),
}
STRIDED = Architecture(Conv(2, 1.2, 0.3), LeakyReLU(0.1), Conv(2, 1.1, 0.2, "circular", 2), ReLU(), Flatten(1.1, 0.2))
POOLED = Architecture(
    Conv(2, 1.2, 0.3, "same", 2), ReLU(), Conv(2, 1.1, 0.2, "circular"), AvgPool(2), Flatten(1.1, 0.2)
)
LAYERED: dict[str, InfiniteWidthKernel] = {
    "strides and circular padding": kernels.NTK(STRIDED),
    "strided NNGP": kernels.NNGP(STRIDED),
    "another activation": kernels.NTK(Architecture(Conv(2), Conv(2, 1.1, 0.2), Erf(), Conv(2), ReLU(), Flatten())),
    "linear": kernels.NTK(Architecture(Conv(2), Conv(2, 1.1, 0.2), Flatten())),
    "pooled": kernels.NTK(POOLED),
    "pooled NNGP": kernels.NNGP(POOLED),
    "global pooling": kernels.NTK(
        Architecture(Conv(4), ReLU(), Conv(2, padding="same"), Erf(), GlobalAvgPool(1.1, 0.2))
    ),
}
CASES = WALKED | LAYERED


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the smallest images take several blocks and strips, the last ones not full."""
    small = Blocks(rows=2, lanes=2, warps=1)
    if DEVICE == "cpu":
        monkeypatch.setattr(engine, "cuts_here", lambda: Cuts(small, small, small))
        monkeypatch.setattr(layers, "BLOCK", 8)


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def images() -> tuple[Tensor, Tensor]:
    x, z = draw(3, 1, 5, 5, seed=1), draw(3, 1, 5, 5, seed=2)
    x[0, :, :4] = 0
    z[0] = x[1]
    return x, z


def metric(kernel: InfiniteWidthKernel) -> Tensor:
    root = draw(kernel.patch_size**2, kernel.patch_size**2, seed=4).double()
    return root.T @ root / len(root) + 0.1 * torch.eye(len(root)).to(root)


def reference(kernel: InfiniteWidthKernel) -> InfiniteWidthKernel:
    return type(kernel)(kernel.architecture, engine="reference")


def fast(kernel: InfiniteWidthKernel, **settings: int) -> InfiniteWidthKernel:
    return type(kernel)(kernel.architecture, engine="cuda", **settings)


@pytest.mark.parametrize("kernel", CASES.values(), ids=CASES)
def test_kernels_are_those_of_the_reference(kernel: InfiniteWidthKernel) -> None:
    (x, z), M = images(), metric(kernel)
    expected = reference(kernel)(x.double(), z.double(), feature_matrix=M)
    torch.testing.assert_close(fast(kernel)(x, z, feature_matrix=M).double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", CASES.values(), ids=CASES)
def test_gradients_are_those_of_the_reference(kernel: InfiniteWidthKernel) -> None:
    (x, z), M, coef = images(), metric(kernel), draw(3, 2, seed=3)
    x = x[:2]
    expected = reference(kernel).patch_gradients(x.double(), z.double(), coef, feature_matrix=M)
    found = fast(kernel).patch_gradients(x, z, coef, feature_matrix=M).double()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kernel", [WALKED["one activation"], LAYERED["strided NNGP"]], ids=["walked", "layered"])
def test_tiles_make_up_the_whole(kernel: InfiniteWidthKernel) -> None:
    (x, z), coef = images(), draw(3, 2, seed=3)
    cut = fast(kernel, memory_budget=2000)
    torch.testing.assert_close(cut(x), reference(kernel)(x), rtol=1e-5, atol=1e-6)
    expected = reference(kernel).patch_gradients(x, z, coef)
    torch.testing.assert_close(cut.patch_gradients(x, z, coef), expected, rtol=1e-4, atol=1e-6)


def test_adjoints_one_by_one_add_up_to_the_gradient() -> None:
    (x, z), coef, kernel = images(), draw(3, 2, seed=3), WALKED["vanilla"]
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


@pytest.mark.parametrize(("pairs", "computed"), [(4, 12), (6, 16)])  # tiles of 2 x 2, and of 2 x 3
def test_in_the_agop_of_the_training_images_a_pair_serves_both(
    pairs: int, computed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[int] = []
    begin = Tile.__init__

    def counted(tile: Tile, engine: Any, x: Any, z: Any, rows: slice, cols: slice) -> None:
        met.append((rows.stop - rows.start) * (cols.stop - cols.start))
        begin(tile, engine, x, z, rows, cols)

    monkeypatch.setattr(Tile, "__init__", counted)
    monkeypatch.setattr(strips, "pairs_within", lambda *limits: pairs)
    x, coef, kernel = draw(4, 1, 5, 5, seed=1), draw(4, 2, seed=3), WALKED["vanilla"]
    x[0, :, :4] = 0
    x[3] = x[1]
    found = fast(kernel).agop(x, x, coef)
    torch.testing.assert_close(found, reference(kernel).agop(x, x, coef), rtol=1e-4, atol=1e-6)
    assert sum(met) == computed


@pytest.mark.parametrize(("cases", "kind"), [(WALKED, BoundStrips), (LAYERED, BoundLayers)])
def test_it_walks_the_networks_that_can_be_walked(cases: dict[str, InfiniteWidthKernel], kind: type) -> None:
    assert all(isinstance(CudaEngine().bind(kernel.recursion, 1), kind) for kernel in cases.values())


def test_it_computes_in_single_precision() -> None:
    obstacle, recursion = CudaEngine().obstacle, WALKED["deep"].recursion
    assert obstacle(recursion, torch.device(DEVICE), torch.float32) is None
    assert "float32" in str(obstacle(recursion, torch.device(DEVICE), torch.float64))
