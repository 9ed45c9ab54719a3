"""A kernel matrix by one worker and by two: `python -m benchmarks.workers DATA`; seconds, their ratio, bits.

On a machine that others use too, seconds of the wall tell little; those of the busier worker's processor tell what a quiet one
takes.
"""

import argparse
import os
import tempfile
import time
from itertools import product
from pathlib import Path

import torch
from distributed import Client, LocalCluster

from convrfm import datasets, kernels
from convrfm.kernels.kernel_tiles import KernelTiles
from convrfm.storage.stored_kernel import kept_kernel
from convrfm.workers import DaskWorkers

SIDE = 256
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("data", help="as for convrfm fit")
    parser.add_argument("--n", type=int, default=2000, help="training images")
    parser.add_argument("--depth", type=int, default=3, help="of the NTK")
    arguments = parser.parse_args()
    x = torch.from_numpy(datasets.load(arguments.data, n_train=arguments.n).x_train)
    recipe = KernelTiles(kernels.NTK(kernels.vanilla(arguments.depth)), x, None, None, SIDE)
    tiles = len(recipe.layout.places)
    print(
        f"{len(x)} images of {arguments.data}, NTK of depth {arguments.depth}, {tiles} tiles, best of {ROUNDS} rounds"
    )
    wall, busiest = ({1: float("inf"), 2: float("inf")} for _ in range(2))
    with tempfile.TemporaryDirectory() as folder:
        for turn, count in product(range(ROUNDS), wall):
            took, busy = seconds(recipe, Path(folder) / f"{turn}-{count}.zarr", count)
            wall[count], busiest[count] = min(wall[count], took), min(busiest[count], busy)
            load = os.getloadavg()[0]
            print(
                f"round {turn}, {count} workers, load {load:.1f}: {took:.1f} s, {busy:.1f} s of a processor", flush=True
            )
        alone, together = (chunks(Path(folder) / f"0-{count}.zarr") for count in wall)
    print(f"{1e6 * busiest[1] / (len(x) * (len(x) + 1) / 2):.1f} microseconds a pair")
    print(
        f"two workers are {wall[1] / wall[2]:.2f} times as fast as one; by their processors {busiest[1] / busiest[2]:.2f}"
    )
    print(f"bits {'equal' if alone == together else 'DIFFER'}")


def seconds(recipe: KernelTiles, folder: Path, count: int) -> tuple[float, float]:
    """Of the wall, and of the processor of the worker that was busiest; imports and compilation are done before."""
    cluster = LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs="CRITICAL",
    )
    with cluster, Client(cluster) as client, kept_kernel(folder, recipe, workers=DaskWorkers(client)) as kept:
        client.run(recipe.kernel, recipe.x[:20])
        before, start = client.run(time.process_time), time.perf_counter()
        kept.complete()
        took, after = time.perf_counter() - start, client.run(time.process_time)
    return took, max(after[worker] - before[worker] for worker in after)


def chunks(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "kernel" / "c").rglob("*")) if path.is_file()]


if __name__ == "__main__":
    main()
