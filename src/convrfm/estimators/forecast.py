"""How long a fit will take and how much memory, before it starts."""

import time
from dataclasses import dataclass

from .rounds import Images, PatchKernel


@dataclass(frozen=True)
class Forecast:
    """Seconds and bytes of a whole fit."""

    seconds: float
    bytes: int

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds), 60)
        hours, minutes = divmod(minutes, 60)
        duration = f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        return f"about {duration} and {self.bytes / 2**30:.1f} GiB"


def forecast(
    kernel: PatchKernel, x: Images, outputs: int, n_iterations: int, agop_images: int, sample: int = 8
) -> Forecast:
    """Measure a few pairs of images and extrapolate.

    Kernels grow as n^2 / 2, AGOPs as n times the images at which gradients are taken, the eigendecomposition as n^3;
    memory is four matrices of n^2 numbers in double precision.
    """
    n = len(x)
    few = x[: min(sample, n)]
    coef = few.new_ones(len(few), outputs)
    pairs = len(few) ** 2
    per_kernel_pair = _fastest(lambda: kernel(few, few)) / pairs
    per_gradient_pair = _fastest(lambda: kernel.agop(few, few, coef)) / pairs
    kernels = (n_iterations + 1) * per_kernel_pair * n * n / 2
    gradients = n_iterations * per_gradient_pair * n * agop_images
    eigendecompositions = (n_iterations + 1) * 3e-10 * n**3
    return Forecast(kernels + gradients + eigendecompositions, 4 * n * n * 8)


def _fastest(call, repeats: int = 2) -> float:  # type: ignore[no-untyped-def]
    """The shorter of a few runs: the first one may compile."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
