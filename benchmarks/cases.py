"""What is measured: one line each."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """A task, and which formulations of each contestant do it.

    Attributes:
        task: "kernel" (x with itself), "metric" (the same with a metric M), "agop" (400 training images, 10 outputs)
            or "myrtle" (pooled).
        contestants: formulations, ours first; the speed of the others is given as a multiple of its time.
        images: at how many images a contestant takes the AGOP (None: at all); its time is divided by that number.
    """

    task: str
    n: int
    shape: tuple[int, int, int]
    depth: int
    contestants: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.task}, n = {self.n}, {'x'.join(map(str, self.shape))}, depth {self.depth}"

    def settings(self) -> dict[str, Any]:
        return asdict(self)


OURS, TORCH = "convrfm", "torch"
PLAIN, PAPER, BEST = "nt-plain", "nt-paper", "nt-best"
SMALL, LARGE = (3, 32, 32), (1, 42, 42)

CASES = [
    Case("metric", 400, SMALL, 3, (OURS, PAPER, BEST)),
    Case("kernel", 400, SMALL, 3, (OURS, PLAIN)),
    Case("agop", 400, SMALL, 3, (OURS, PAPER, BEST)),
    Case("myrtle", 40, SMALL, 5, (OURS, PLAIN)),
    Case("metric", 400, SMALL, 1, (OURS, PAPER, BEST)),
    Case("metric", 400, SMALL, 5, (OURS, PAPER, BEST)),
    Case("kernel", 400, SMALL, 1, (OURS, PLAIN)),
    Case("kernel", 400, SMALL, 5, (OURS, PLAIN)),
    Case("metric", 400, LARGE, 3, (OURS, PAPER, BEST)),
    Case("kernel", 400, LARGE, 3, (OURS, PLAIN)),
    Case("metric", 100, SMALL, 3, (OURS, PAPER, BEST)),
    Case("kernel", 100, SMALL, 3, (OURS, PLAIN)),
    *(Case("metric", n, SMALL, depth, (OURS,)) for n, depth in ((1000, 3), (2000, 3), (2000, 1), (2000, 5))),
]
