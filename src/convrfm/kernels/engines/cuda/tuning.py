"""How many warps serve a card best: measured at its first use, in bounded time, and kept on disk.

Lanes are pairs of images, each computed by itself: with any number of warps a kernel has the same bits. What would change
them, the rows of a strip, is the same for all cards.
"""

import functools
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from triton.errors import TritonError
from triton.testing import do_bench

from ...architecture import vanilla
from ...recursion.recursion import Recursion
from .blocks import MEASURED, PROGRAMS, WARPS, Cuts, keep_warps, kept_warps
from .runs import runs_of
from .sides import first_covariance
from .strips import BoundStrips, Launch, Tile, compile_only, launch_now

SECONDS = 20.0
SWITCH = "CONVRFM_TUNING"  # "off": no measuring, what serves two cards serves all


class Timing(NamedTuple):
    """Milliseconds of one program with so many warps."""

    program: str
    warps: int
    milliseconds: float


def cuts_here() -> Cuts:
    """What serves this card."""
    return cuts_of(torch.cuda.get_device_name()) if torch.cuda.is_available() else MEASURED


@functools.cache
def cuts_of(card: str) -> Cuts:
    """What is kept for a card, otherwise what is measured on it now."""
    warps = kept_warps(card)
    if warps is None and os.environ.get(SWITCH) != "off":
        logging.getLogger("convrfm").warning(
            f"measuring block sizes on {card}, once for this card, at most {SECONDS:.0f} s ({SWITCH}=off: never)"
        )
        try:
            warps = fastest(timings(Trial(torch.device("cuda"))))
        except torch.OutOfMemoryError:
            warps = {}
        if warps.keys() == set(PROGRAMS):
            keep_warps(card, warps)
    return MEASURED.of_warps(warps or {})


def fastest(timed: Iterator[Timing]) -> dict[str, int]:
    """The best number of warps of each program."""
    best: dict[str, Timing] = {}
    for timing in timed:
        best[timing.program] = min(best.get(timing.program, timing), timing, key=lambda each: each.milliseconds)
    return {program: timing.warps for program, timing in best.items()}


def milliseconds(work: Callable[[], None]) -> float:
    """The median over twenty milliseconds, after some that do not count."""
    return do_bench(work, warmup=5, rep=20, return_mode="median")


def timings(
    trial: "Trial", seconds: float = SECONDS, clock: Callable[[Callable[[], None]], float] = milliseconds
) -> Iterator[Timing]:
    """Every program with every number of warps that is compiled within the seconds and runs; the usual number first."""
    deadline = time.monotonic() + seconds
    pool = ThreadPoolExecutor(os.cpu_count())
    ways = [(program, warps) for warps in WARPS for program in PROGRAMS]
    compiled = [(way, pool.submit(trial, *way, compile_only)) for way in ways]
    try:
        for (program, warps), ready in compiled:
            try:
                ready.result(max(0.0, deadline - time.monotonic()))
                yield Timing(program, warps, clock(partial(trial, program, warps)))
            except (TimeoutError, TritonError, RuntimeError):  # too slow to compile, or too large for the card
                continue
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class Trial:
    """One tile of pairs of images at depth 3, and what it launches: all layers forward, one forward, one backward."""

    def __init__(self, device: torch.device, counts: tuple[int, int] = (128, 1024), side: int = 15) -> None:
        architecture, (n_x, n_z) = vanilla(depth=3), counts
        grids = architecture.grids(side, side)
        self._engine = BoundStrips(Recursion(architecture, tangent=True), 1, MEASURED)
        x, z = (self._engine.embed(_images(n, side, device), None, patches="kept") for n in counts)
        self._pairs = x, z, slice(0, n_x), slice(0, n_z)
        (self._whole,), self._step = runs_of(architecture, grids), runs_of(architecture, grids, longest=1)[1]
        self._S, self._nowhere = first_covariance(self._engine.recursion, *self._pairs), n_x
        before, behind = ((math.prod(grid), n_x, n_z) for grid in (self._step.grid, self._step.grid_out))
        self._before = torch.full(before, 0.5, device=device), torch.full(before, 0.5, device=device)
        self._behind = torch.full(behind, 0.5, device=device), torch.full(behind, 0.5, device=device)

    def __call__(self, program: str, warps: int, launch: Launch = launch_now) -> None:
        """Launch one program, cut so."""
        engine = replace(self._engine, cuts=MEASURED.of_warps({program: warps}))
        tile = Tile(engine, *self._pairs, launch)
        with torch.cuda.device_of(self._S), torch.no_grad():
            if program == "forward":
                tile.walk(self._whole, self._S, self._S, self._nowhere)
            elif program == "step":
                tile.walk(self._step, *self._before, self._nowhere)
            else:
                tile.pull_back(self._step, *self._before, *self._behind)


def _images(n: int, side: int, device: torch.device) -> torch.Tensor:
    return torch.randn(n, 1, side, side, generator=torch.Generator().manual_seed(0)).to(device)
