"""What a fit on a cluster costs, by a model, and a Dask scheduler with a hundred workers: `python -m benchmarks.cluster`."""

import math
import time
from dataclasses import dataclass

import dask
from distributed import Client, LocalCluster

from convrfm.kernels.kernel_tiles import TileLayout, default_side
from convrfm.solvers.iterative import PROBES, default_rank
from convrfm.workers import DaskWorkers

IMAGE = 4 * 3 * 32 * 32  # bytes
COLUMNS = 10 + PROBES  # right-hand sides of one ridge and ten outputs
ITERATIONS = 50
AGOP_IMAGES = 2000
READS = 8  # of all tiles, for the preconditioner
SIMULATED, SHARE = 100, 100  # workers; a tile of theirs takes the hundredth part of its time


@dataclass(frozen=True)
class Costs:
    """Measured on one thread of the machine of docs/benchmarks.md, but for the last.

    Attributes:
        pair: seconds of a kernel entry, flat NTK of depth 3, 32 x 32 color images.
        gradient: seconds of a pair in the AGOP.
        operations: a second, of products in double precision.
        network: bytes a second between a worker and the store; assumed.
    """

    pair: float = 3.1e-6
    gradient: float = 2.1e-5
    operations: float = 3e10
    network: float = 5e8


@dataclass(frozen=True)
class Run:
    """One round of a fit to n images by workers of one thread, in seconds and bytes."""

    n: int
    workers: int
    costs: Costs = Costs()

    @property
    def layout(self) -> TileLayout:
        return TileLayout(self.n, self.n, default_side(self.n), symmetric=True)

    @property
    def tiles(self) -> int:
        down = self.layout.tiles[0]
        return down * (down + 1) // 2

    @property
    def disk(self) -> float:
        return 4.0 * self.tiles * self.layout.side**2

    @property
    def matrix(self) -> float:
        side = self.layout.side
        moved = (2 * side * IMAGE + 4 * side**2) / self.costs.network
        return math.ceil(self.tiles / self.workers) * (side**2 * self.costs.pair + moved)

    @property
    def matrix_network(self) -> float:
        return self.tiles * 2 * self.layout.side * IMAGE + self.disk

    @property
    def iteration_network(self) -> float:
        return 4.0 * self.n**2 + 8.0 * self.layout.tiles[0] * self.n * COLUMNS

    @property
    def iteration(self) -> float:
        down, side = self.layout.tiles[0], self.layout.side
        computed = 2 * side * self.n * COLUMNS / self.costs.operations
        return math.ceil(down / self.workers) * (computed + self.iteration_network / down / self.costs.network)

    @property
    def preconditioner(self) -> float:
        operations = 4.0 * self.n * default_rank(self.n) ** 2
        return READS * self.disk / self.costs.network + operations / self.costs.operations

    @property
    def preconditioner_memory(self) -> float:
        return 2 * 8.0 * self.n * default_rank(self.n)

    @property
    def agop(self) -> float:
        return math.ceil(AGOP_IMAGES / 64 / self.workers) * 64 * self.n * self.costs.gradient

    @property
    def seconds(self) -> float:
        return self.matrix + self.preconditioner + ITERATIONS * self.iteration + self.agop


def main() -> None:
    print("| images | workers | disk | matrix | solve | AGOP | one round | network | memory of the caller |")
    print("|---|---|---|---|---|---|---|---|---|")
    for n in (10**5, 10**6, 10**7):
        for workers in (1, 10, 100, 1000):
            run = Run(n, workers)
            moved = run.matrix_network + ITERATIONS * run.iteration_network + READS * run.disk
            solve = run.preconditioner + ITERATIONS * run.iteration
            parts = " | ".join(map(hours, (run.matrix, solve, run.agop, run.seconds)))
            print(
                f"| {n:,} | {workers} | {amount(run.disk)} | {parts} | {amount(moved)} | {amount(run.preconditioner_memory)} |"
            )
    simulate(Run(300_000, SIMULATED))


def simulate(run: Run) -> None:
    """The tiles of 300,000 images through a scheduler with a hundred workers that sleep in their place."""
    asleep = run.matrix / math.ceil(run.tiles / run.workers) / SHARE
    quiet = {"distributed.worker.profile.enabled": False, "distributed.admin.system-monitor.interval": "10 s"}
    with (  # a hundred workers in one process leave no time to watch each
        dask.config.set(quiet),
        LocalCluster(
            n_workers=run.workers,
            threads_per_worker=1,
            processes=False,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            silence_logs="CRITICAL",
        ) as cluster,
        Client(cluster) as client,
    ):
        start = time.perf_counter()
        for _ in DaskWorkers(client).results(time.sleep, [asleep] * run.tiles):
            pass
        took = time.perf_counter() - start
    ideal = math.ceil(run.tiles / run.workers) * asleep
    print(
        f"{run.tiles} tiles of {asleep:.3f} s by {run.workers} workers: {took:.1f} s; without a scheduler {ideal:.1f} s"
    )
    print(f"it hands out {run.tiles / took:.0f} tiles a second; real workers ask for {run.tiles / run.matrix:.1f}")


def hours(seconds: float) -> str:
    for unit, size in (("years", 3.15e7), ("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def amount(number: float) -> str:
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9)):
        if number >= size:
            return f"{number / size:.0f} {unit}"
    return f"{number / 1e6:.0f} MB"


if __name__ == "__main__":
    main()
