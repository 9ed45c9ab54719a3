"""Seconds of work on a device."""

import statistics
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(work: Callable[[], Result], device: torch.device) -> tuple[float, Result]:
    """How long it takes once, and what comes of it."""
    synchronize(device)
    start = time.perf_counter()
    result = work()
    synchronize(device)
    return time.perf_counter() - start, result


def seconds(work: Callable[[], Any], device: torch.device, repeats: int = 3) -> float:
    """The median over repeats, after one that does not count."""
    work()
    return statistics.median(timed(work, device)[0] for _ in range(repeats))
