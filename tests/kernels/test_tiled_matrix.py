"""A kernel matrix without room on its device travels to the CPU tile by tile, and is the same to the last bit."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.errors import InputError
from convrfm.kernels import RadialKernel, devices
from convrfm.kernels.infinite import InfiniteWidthKernel
from convrfm.kernels.tiled_matrix import InPlace, MatrixPlan, Streamed, tiled_matrix

TILE = 2500  # bytes of temporaries: some images at a time
ENGINES: dict[str, InfiniteWidthKernel | RadialKernel] = {
    "reference": kernels.NTK(kernels.vanilla(1), engine="reference", memory_budget=TILE),
    "cuda, under the interpreter": kernels.NTK(kernels.vanilla(1), engine="cuda", memory_budget=TILE),
    "radial": kernels.Laplace(patch_size=2, memory_budget=TILE),
}


@pytest.fixture
def full_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The images' device has as good as no memory left."""
    monkeypatch.setattr(devices, "unused_memory", lambda device: 1)


def images(n: int, seed: int) -> Tensor:
    return torch.randn(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("unused", [0, 99, 100, 101, 10**6])
def test_a_matrix_stays_where_it_fits_beside_the_temporaries(unused: int) -> None:
    assert MatrixPlan(bytes=70, temporaries=30, unused=unused).streams == (unused < 100)
    assert not MatrixPlan(bytes=unused, temporaries=30, unused=None).streams


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("kernel", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("with_itself", [True, False])
def test_streamed_and_in_place_are_the_same_bits(
    kernel: InfiniteWidthKernel | RadialKernel, with_itself: bool, request: pytest.FixtureRequest
) -> None:
    if getattr(kernel, "engine", None) == "cuda":
        pytest.importorskip("triton")
    x, z = images(7, seed=1), None if with_itself else images(5, seed=2)
    calls: list[int] = []
    expected = kernel(x, z, progress=lambda done, of_all: calls.append(of_all))
    assert calls[0] > 2
    request.getfixturevalue("full_card")
    assert torch.equal(kernel(x, z), expected)


def test_a_full_card_streams(full_card: None) -> None:
    assert isinstance(tiled_matrix(images(7, seed=1), 7, TILE), Streamed)


def late(sent: list[Tensor]) -> Callable[[Tensor, Tensor], Callable[[], None]]:
    """A transfer that touches nothing before somebody waits for it."""

    def send(tile: Tensor, landing: Tensor) -> Callable[[], None]:
        sent.append(tile)

        def wait() -> None:
            landing.copy_(tile)
            sent.remove(tile)

        return wait

    return send


def test_tiles_may_land_as_late_as_when_they_are_waited_for() -> None:
    under_way: list[Tensor] = []
    whole, out = torch.full((6, 5), torch.nan), torch.randn(6, 5)
    streamed = Streamed(whole, late(under_way), pinned=False)
    for rows in (slice(0, 4), slice(4, 6)):
        for cols in (slice(0, 2), slice(2, 4), slice(4, 5)):
            streamed.put(rows, cols, out[rows, cols])
            assert len(under_way) <= 2
    assert torch.equal(streamed.finished(), out)


def test_gradients_of_torch_flow_through_it(full_card: None) -> None:
    kernel = kernels.NTK(kernels.vanilla(1), memory_budget=TILE)
    gradients = []
    for of in (kernel, replace(kernel, memory_budget=None)):
        x = images(5, seed=1).double().requires_grad_()
        (of(x) * torch.arange(25.0).reshape(5, 5)).sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients)


def test_a_matrix_without_room_anywhere_comes_with_its_size_and_the_remedy() -> None:
    with pytest.raises(InputError, match=r"5 x 1000000000000000 takes 17\.8 PiB.*rows at a time"):
        tiled_matrix(images(5, seed=1), 10**15, TILE)
    assert isinstance(tiled_matrix(images(5, seed=1), 7, TILE), InPlace)
