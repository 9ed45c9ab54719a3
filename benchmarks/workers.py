"""A kernel matrix by one worker and by two: `python -m benchmarks.workers DATA`; seconds, their ratio, bits."""

import argparse
import os
import tempfile
import time
from itertools import product
from pathlib import Path

import torch

from convrfm import datasets, kernels
from convrfm.kernels.kernel_tiles import KernelTiles
from convrfm.storage.stored_kernel import kept_kernel
from convrfm.workers import workers

SIDE = 256
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("data", help="as for convrfm fit")
    parser.add_argument("--n", type=int, default=1500, help="training images")
    parser.add_argument("--depth", type=int, default=3, help="of the NTK")
    arguments = parser.parse_args()
    x = torch.from_numpy(datasets.load(arguments.data, n_train=arguments.n).x_train)
    recipe = KernelTiles(kernels.NTK(kernels.vanilla(arguments.depth)), x, None, None, SIDE)
    tiles = len(recipe.layout.places)
    print(
        f"{len(x)} images of {arguments.data}, NTK of depth {arguments.depth}, {tiles} tiles, best of {ROUNDS} rounds"
    )
    best = {1: float("inf"), 2: float("inf")}
    with tempfile.TemporaryDirectory() as folder:
        for turn, count in product(range(ROUNDS), best):
            best[count] = min(best[count], seconds(recipe, Path(folder) / f"{turn}-{count}.zarr", count))
            print(
                f"round {turn}, {count} workers, load {os.getloadavg()[0]:.1f}: {best[count]:.1f} s at best", flush=True
            )
        alone, together = (chunks(Path(folder) / f"0-{count}.zarr") for count in best)
    pairs = len(x) * (len(x) + 1) / 2
    print(f"{1e6 * best[1] / pairs:.1f} microseconds a pair and worker")
    print(
        f"two workers are {best[1] / best[2]:.2f} times as fast as one; bits {'equal' if alone == together else 'DIFFER'}"
    )


def seconds(recipe: KernelTiles, folder: Path, count: int) -> float:
    """Of all tiles but one for each worker, which brings its imports and compiled code."""
    with workers(count) as helping, kept_kernel(folder, recipe, workers=helping) as kept:
        start, first = 0.0, kept.layout.places[: 2 * count]
        assert helping is not None
        for _ in kept._written(first):
            pass
        start = time.perf_counter()
        kept.complete()
        rest = len(kept.layout.places) - len(first)
        return (time.perf_counter() - start) * len(kept.layout.places) / rest


def chunks(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "kernel" / "c").rglob("*")) if path.is_file()]


if __name__ == "__main__":
    main()
