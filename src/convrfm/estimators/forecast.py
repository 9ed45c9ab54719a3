"""How long a fit will take and how much memory, before it starts."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from .problem import Images, PatchKernel

SMALLEST_SAMPLE = 16  # images
LONG_ENOUGH = 0.1  # seconds
REPEATS = 3


@dataclass(frozen=True)
class Forecast:
    """Seconds and bytes of a whole fit."""

    seconds: float
    bytes: int

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds), 60)
        hours, minutes = divmod(minutes, 60)
        duration = f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        memory = f"{self.bytes / 2**30:.1f} GiB" if self.bytes >= 2**30 else f"{self.bytes / 2**20:.0f} MiB"
        return f"about {duration} and {memory}"


def forecast(kernel: PatchKernel, x: Images, outputs: int, n_iterations: int, agop_images: int) -> Forecast:
    """Measure some pairs of images and extrapolate.

    Kernels grow as n^2 / 2, AGOPs as n times the images at which gradients are taken, the eigendecomposition as n^3;
    memory is four matrices of n^2 numbers in double precision.
    """
    n = len(x)
    per_kernel_pair = _seconds_a_pair(lambda few: kernel(few, few.clone()), x)
    kernels = (n_iterations + 1) * per_kernel_pair * n * n / 2
    gradients = 0.0
    if n_iterations:
        per_gradient_pair = _seconds_a_pair(lambda few: kernel.agop(few, few, few.new_ones(len(few), outputs)), x)
        gradients = n_iterations * per_gradient_pair * n * agop_images
    eigendecompositions = (n_iterations + 1) * 3e-10 * n**3
    return Forecast(kernels + gradients + eigendecompositions, 4 * n * n * 8)


def _seconds_a_pair(compute: Callable[[Tensor], Tensor], x: Images) -> float:
    """From the first number of images that takes long enough to be measured; a first call may compile."""
    size = min(SMALLEST_SAMPLE, len(x))
    compute(x[:size])
    while True:
        seconds = min(_seconds(lambda: compute(x[:size]).cpu()) for _ in range(REPEATS))  # noqa: B023 (called at once)
        if seconds > LONG_ENOUGH or size == len(x):
            return seconds / size**2
        size = min(2 * size, len(x))


def _seconds(compute: Callable[[], Tensor]) -> float:
    start = time.perf_counter()
    compute()
    return time.perf_counter() - start
