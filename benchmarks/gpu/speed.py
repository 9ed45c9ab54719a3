"""(b) Time and memory of kernels and AGOPs, and how much of the card's measured peaks they reach."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor

from convrfm import kernels
from convrfm.kernels import Architecture, Conv, GlobalAvgPool, ReLU

from .clock import seconds
from .session import Line, Session

FORWARD, BACKWARD = 44, 40  # operations of an activation with its window: additions, multiplications, roots
TASKS = ("metric", "agop", "kernel")
SMALL, LARGE = (3, 32, 32), (1, 42, 42)
OUTPUTS = 10
GLOBAL = Architecture(Conv(3), ReLU(), Conv(3, padding="same"), ReLU(), GlobalAvgPool())
POOLED = {"Myrtle-5": kernels.myrtle(5), "two layers and GlobalAvgPool": GLOBAL}


def speed(session: Session) -> Iterator[Line]:
    """The peaks, the sizes of the published run, then the others."""
    peaks = _peaks(session)
    yield {"name": "peaks", **peaks}
    sizes = (3,) if session.tiny else (4000, 400, 2000, 8000)
    shapes = ((1, 6, 6),) if session.tiny else (LARGE, SMALL)
    cases = [(task, sizes[0], shapes[0], 1 if session.tiny else 3) for task in TASKS]
    cases += [] if session.tiny else product(TASKS, sizes[1:], shapes[1:], (3, 1, 5))
    for task, n, shape, depth in cases:
        yield {"name": _name(task, n, shape, depth), **_measured(session, task, n, shape, depth, peaks)}
    yield from _pooled(session)


def _name(task: str, n: int, shape: tuple[int, ...], depth: int) -> str:
    return f"{task}, n = {n}, {'x'.join(map(str, shape))}, depth {depth}"


def work_of(session: Session, task: str, n: int, shape: tuple[int, ...], depth: int) -> Callable[[], Any]:
    """What is timed: "kernel", "metric" or "agop" of random images."""
    kernel = kernels.NTK(kernels.vanilla(depth), engine=session.engine)
    generator = torch.Generator().manual_seed(0)

    def normal(*sizes: int) -> Tensor:
        return torch.randn(sizes, generator=generator).to(session.device)

    d = 9 * shape[0]
    x, coef, root = normal(n, *shape), normal(n, OUTPUTS), normal(d, d).double()
    M = (root @ root.T / d).float() if task != "kernel" else None
    if task == "agop":
        return lambda: kernel.agop(x, x, coef, feature_matrix=M)
    return lambda: kernel(x, feature_matrix=M)


def _measured(session: Session, task: str, n: int, shape: tuple[int, ...], depth: int, peaks: dict[str, float]) -> Line:
    work = work_of(session, task, n, shape, depth)
    session.memory  # noqa: B018
    taken = seconds(work, session.device, repeats=1 if n > 4000 else 3)
    positions = [rows * cols for rows, cols in kernels.vanilla(depth).grids(*shape[1:])[::2]]
    pairs = n * n if task == "agop" else n * (n + 1) // 2
    operations = pairs * _operations(positions, 9 * shape[0], gradient=task == "agop")
    moved = pairs * _bytes(positions, gradient=task == "agop")
    return {
        "seconds": taken,
        "memory_gb": session.memory / 1e9,
        "operations": operations,
        "of_arithmetic_peak": operations / taken / peaks["arithmetic"],
        "bytes": moved,
        "of_memory_peak": moved / taken / peaks["memory"],
    }


def _operations(positions: list[int], d: int, *, gradient: bool) -> float:
    """Of one pair of images, each activation once, and the inner products of patches with those of the contraction."""
    products = 2.0 * d * positions[0] * (1 + OUTPUTS if gradient else 1)
    return products + sum(positions) * (FORWARD + BACKWARD + 2 * OUTPUTS if gradient else FORWARD)


def _bytes(positions: list[int], *, gradient: bool) -> float:
    """What the programs must write and read of one pair of images: the first covariance, for a gradient all fields."""
    first, later, numbers = positions[0], positions[1:], 2.0 * positions[0]
    if gradient:  # S and T forward and for the way back, adjoints of both, and of variances
        numbers += 3 * first + 10 * sum(later) - 2 * sum(later[-1:]) + 2 * sum(positions)
    return 4 * numbers


def _pooled(session: Session) -> Iterator[Line]:
    """Networks that couple positions."""
    n, side = (2, 4) if session.tiny else (100, 32)
    networks = {"two layers and GlobalAvgPool": GLOBAL} if session.tiny else POOLED
    for name, architecture in networks.items():
        kernel = kernels.NTK(architecture, engine=session.engine)
        x = torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(0)).to(session.device)
        session.memory  # noqa: B018
        taken = seconds(lambda kernel=kernel, x=x: kernel(x), session.device, repeats=1)
        slow = kernels.NTK(architecture, engine="reference")
        plain = (
            None if session.tiny else seconds(lambda slow=slow, x=x: slow(x[:20], x[:20]), session.device, repeats=1)
        )
        yield {
            "name": f"{name}, n = {n}, 3x{side}x{side}",
            "seconds": taken,
            "memory_gb": session.memory / 1e9,
            "seconds_of_400_pairs_by_the_reference_engine": plain,
        }


def _peaks(session: Session) -> dict[str, float]:
    """Operations a second of a float32 matrix product, bytes a second of a copy."""
    n = 64 if session.tiny else 8192
    a = torch.randn(n, n, device=session.device)
    product_seconds = seconds(lambda: a @ a, session.device)
    source = torch.randn(1 << (10 if session.tiny else 29), device=session.device)
    target = torch.empty_like(source)
    copy_seconds = seconds(lambda: target.copy_(source), session.device)
    return {"arithmetic": 2 * n**3 / product_seconds, "memory": 8 * source.numel() / copy_seconds}
