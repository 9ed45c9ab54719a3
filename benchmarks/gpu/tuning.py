"""Which block sizes serve the cuda engine's programs best: `python -m benchmarks.gpu.tuning`.

Every way to cut is timed on one tile of pairs of images at depth 3 and printed at once; the best are kept for the engine.
Programs are compiled beforehand, many at a time.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from triton.runtime import JITFunction

from convrfm import kernels
from convrfm.kernels.engines.cuda.blocks import MEASURED, Blocks, Cuts, cuts_file
from convrfm.kernels.engines.cuda.runs import runs_of
from convrfm.kernels.engines.cuda.sides import first_covariance
from convrfm.kernels.engines.cuda.strips import BoundStrips, Tile
from convrfm.kernels.recursion.recursion import Recursion
from convrfm.storage.atomic import write_json

from .clock import seconds

WAYS = {  # rows, lanes, warps
    "backward": [(4, 128, 4), (2, 128, 4), (3, 128, 4), (2, 64, 2), (2, 256, 8)],
    "step": [(9, 128, 4), (6, 128, 4), (12, 128, 4), (9, 256, 4), (9, 64, 2)],
    "forward": [(9, 128, 4), (12, 128, 4), (9, 64, 2), (9, 32, 1), (6, 128, 4), (4, 256, 4)],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs=2, default=(512, 1024), metavar=("N_X", "N_Z"))
    parser.add_argument("--side", type=int, default=42)
    parser.add_argument("--seconds", type=float, default=150.0, help="stop timing ways to cut after so long")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    deadline = time.monotonic() + arguments.seconds
    tile = _Launches(arguments.images, arguments.side, device)
    started = time.monotonic()
    with ThreadPoolExecutor(14) as pool, compiling_only():
        for which, ways in WAYS.items():
            for way in ways:
                pool.submit(tile.launch, which, way)
    say(f"compiled in {time.monotonic() - started:.0f} s")
    say(f"first covariance: {1e3 * seconds(tile.first_covariance, device):.2f} ms")
    best: dict[str, tuple[int, ...]] = {}
    for which, ways in WAYS.items():
        found: dict[tuple[int, ...], float] = {}
        for way in ways:
            if time.monotonic() > deadline:
                break
            try:
                found[way] = seconds(partial(tile.launch, which, way), device)
            except Exception as error:  # one way that does not work is no reason to lose the others
                say(f"{which} {way}: {type(error).__name__}: {error}"[:300])
                continue
            say(f"{which} {way}: {1e3 * found[way]:.2f} ms")
        if found:
            best[which] = min(found, key=lambda way: found[way])
            say(f"best {which}: {best[which]}")
    if best.keys() == WAYS.keys() and device.type == "cuda":
        keep(torch.cuda.get_device_name(device), best)


def keep(card: str, best: dict[str, tuple[int, ...]]) -> None:
    """Where the engine finds it from now on, beside what was found for other cards."""
    file = cuts_file()
    kept = json.loads(file.read_text()) if file.exists() else {}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, kept | {card: best})
    say(f"kept in {file}")


def say(line: str) -> None:
    print(line, flush=True)


@contextmanager
def compiling_only() -> Iterator[None]:
    """Launches compile their program and do not run it."""
    launch = JITFunction.run
    JITFunction.run = lambda *args, warmup, **keywords: launch(*args, warmup=True, **keywords)
    yield
    JITFunction.run = launch


class _Launches:
    """What one tile of a network of depth 3 launches: forward as a whole, one layer forward, one layer backward."""

    def __init__(self, counts: tuple[int, int], side: int, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(0)
        architecture = kernels.vanilla(depth=3)
        self.engine = BoundStrips(Recursion(architecture, tangent=True), 1 << 33, MEASURED)
        images = [torch.randn(n, 1, side, side, generator=generator).to(device) for n in counts]
        self.sides = [self.engine.embed(each, None, patches="kept") for each in images]
        self.parts = [slice(0, n) for n in counts]
        grids = architecture.grids(side, side)
        (self.whole,) = runs_of(architecture, grids)
        self.step = runs_of(architecture, grids, longest=1)[1]
        self.S = self.first_covariance()
        shapes = [(math.prod(grid), *counts) for grid in (self.step.grid, self.step.grid_out)]
        self.fields = [torch.rand(shape, device=device) for shape in shapes for _ in range(2)]

    def tile(self, cuts: Cuts) -> Tile:
        (x, z), (rows, columns) = self.sides, self.parts
        return Tile(replace(self.engine, cuts=cuts), x, z, rows, columns)

    def first_covariance(self) -> Tensor:
        (x, z), (rows, columns) = self.sides, self.parts
        return first_covariance(self.engine.recursion, x, z, rows, columns)

    def launch(self, which: str, way: tuple[int, ...]) -> Any:
        tile = self.tile(replace(MEASURED, **{which: Blocks(*way)}))
        nowhere = self.parts[0].stop
        if which == "forward":
            return tile.walk(self.whole, self.S, self.S, nowhere)
        if which == "step":
            return tile.walk(self.step, self.fields[0], self.fields[1], nowhere)
        return tile.pull_back(self.step, *self.fields)


if __name__ == "__main__":
    main()
