"""What is measured: one line each."""

from dataclasses import asdict, dataclass
from typing import Any

Entries = dict[str, dict[str, Any]]  # what each contestant of one contest is told, the yardstick first


@dataclass(frozen=True)
class Case:
    """A task, and which formulations of each contestant do it.

    Attributes:
        task: "kernel" (the NTK), "metric" (the NTK with a metric M), "nngp", "agop", "myrtle" (the NTK of a network with
            pooling), a radial kernel ("laplace", "gaussian", "matern"), "laplace agop" or "features agop" (of pooled random
            features). An AGOP is of n training images.
        depth: of the network; 0 for radial kernels, which have none, and for features.
        contestants: formulations, ours first; the time of the others is given as a multiple of its time.
        with_itself: whether the kernel is of n images with themselves, or with n others.
        part: on how many of the n images the others work (None: all), a kernel's on each side, and an AGOP's where the
            gradient is taken; their times are scaled to the whole.
        at: at how many images an AGOP's gradients are taken; None for all n.
        outputs: how many the predictor of an AGOP has.
    """

    task: str
    n: int
    shape: tuple[int, int, int]
    depth: int
    contestants: tuple[str, ...]
    with_itself: bool = True
    part: int | None = None
    at: int | None = None
    outputs: int = 10

    @property
    def name(self) -> str:
        task = self.task if "agop" in self.task else f"{self.task} {'K(x)' if self.with_itself else 'K(x, z)'}"
        depth = f", depth {self.depth}" if self.depth else ""
        at = "" if self.at is None else f", at {self.at}, {self.outputs} outputs"
        return f"{task}, n = {self.n}, {'x'.join(map(str, self.shape))}{depth}{at}"

    def settings(self, contestant: str) -> dict[str, Any]:
        return {**asdict(self), "contestant": contestant}

    @property
    def entries(self) -> Entries:
        return {contestant: self.settings(contestant) for contestant in self.contestants}


OURS, EINSUM, CNN_GP = "convrfm", "torch-einsum", "cnn-gp"
PLAIN, PAPER, BEST = "nt-plain", "nt-paper", "nt-best"
CDIST, AUTOGRAD = "torch-cdist", "torch-autograd"
WITH_METRIC = (OURS, EINSUM, PAPER, BEST)
WITHOUT = (OURS, EINSUM, PLAIN)
NNGP = (OURS, EINSUM, CNN_GP, PLAIN)
SMALL, LARGE = (3, 32, 32), (1, 42, 42)

CASES = [
    *(Case("metric", 400, SMALL, depth, WITH_METRIC) for depth in (3, 1, 5)),
    Case("metric", 400, SMALL, 3, WITH_METRIC, with_itself=False),
    Case("metric", 400, LARGE, 3, WITH_METRIC),
    Case("metric", 100, SMALL, 3, WITH_METRIC),
    Case("metric", 2000, SMALL, 3, WITH_METRIC, with_itself=False, part=400),
    *(Case("kernel", 400, SMALL, depth, WITHOUT) for depth in (3, 1, 5)),
    Case("kernel", 400, SMALL, 3, WITHOUT, with_itself=False),
    Case("kernel", 400, LARGE, 3, WITHOUT),
    Case("kernel", 100, SMALL, 3, WITHOUT),
    *(Case("nngp", 400, SMALL, depth, NNGP) for depth in (3, 1, 5)),
    Case("nngp", 400, LARGE, 3, NNGP),
    *(Case("agop", 400, SMALL, depth, (OURS, PAPER, BEST), part=2) for depth in (3, 1, 5)),
    Case("agop", 400, LARGE, 3, (OURS, PAPER, BEST), part=2),
    Case("myrtle", 40, SMALL, 5, (OURS, PLAIN), part=8),
    *(Case(task, 400, SMALL, 0, (OURS, CDIST)) for task in ("laplace", "gaussian", "matern")),
    *(Case("laplace agop", 400, SMALL, 0, (OURS, CDIST), at=50, outputs=outputs) for outputs in (10, 43)),
    *(Case("features agop", 400, SMALL, 0, (OURS, AUTOGRAD), at=64, outputs=outputs) for outputs in (10, 43)),
]

MANY = 2000  # growth is measured around this many images
GROWTH_IN_IMAGES: Entries = {
    str(n): Case("metric", n, SMALL, 3, ()).settings(OURS) for n in (MANY // 2, MANY, 2 * MANY)
}
GROWTH_IN_DEPTH: Entries = {str(depth): Case("metric", MANY, SMALL, depth, ()).settings(OURS) for depth in (1, 2, 3, 5)}
