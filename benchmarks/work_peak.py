"""What the machine can do at most, on as many threads as torch uses: arithmetic, matrix products, cache, memory."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from benchmarks.process import run, serve
from convrfm.kernels.lanes.vectors import LANES, address, entry, load, store

CHAINS = 12  # independent multiply-adds: what two units of latency 4 to 5 need
TIMES = 30_000_000
SIDE, PRODUCTS = 2048, 4
IN_CACHE, SWEEPS = 2048, 200_000  # numbers in each of three arrays: 24 KB together
IN_MEMORY = 1 << 26  # numbers: 256 MB


@entry
def multiply_adds(start: Any, times: Any) -> None:
    """Twelve chains of a = a * b + c that never leave the registers."""
    p = address(start)
    b, c = load(p, 0), load(p, LANES)
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = a8 = a9 = a10 = a11 = c
    for _ in range(times):
        a0, a1, a2, a3 = a0 * b + c, a1 * b + c, a2 * b + c, a3 * b + c
        a4, a5, a6, a7 = a4 * b + c, a5 * b + c, a6 * b + c, a7 * b + c
        a8, a9, a10, a11 = a8 * b + c, a9 * b + c, a10 * b + c, a11 * b + c
    store(p, 0, a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + a10 + a11)


@entry
def sweeps(a: Any, b: Any, c: Any, times: Any) -> None:
    """c = a + b over arrays that stay in the first-level cache: two loads and a store of every number."""
    pa, pb, pc = address(a), address(b), address(c)
    for _ in range(times):
        for i in range(0, len(a), 2 * LANES):
            store(pc, i, load(pa, i) + load(pb, i))
            store(pc, i + LANES, load(pa, i + LANES) + load(pb, i + LANES))


def on_all_threads(work: Callable[[], object]) -> None:
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work) for _ in range(threads)]:
            done.result()


def arithmetic() -> Callable[[], object]:
    return lambda: on_all_threads(lambda: multiply_adds(np.full(2 * LANES, 0.5, np.float32), TIMES))


def matrix_products() -> Callable[[], object]:
    a, b = torch.randn(2, SIDE, SIDE)
    return lambda: [torch.mm(a, b) for _ in range(PRODUCTS)]


def cache() -> Callable[[], object]:
    return lambda: on_all_threads(lambda: sweeps(*np.zeros((3, IN_CACHE), np.float32), SWEEPS))


def memory() -> Callable[[], object]:
    source, target = torch.zeros(2, IN_MEMORY)
    return lambda: target.copy_(source)


THREADS = torch.get_num_threads()
PEAKS = {
    "arithmetic": (arithmetic, 2 * CHAINS * LANES * TIMES * THREADS),
    "matrix products": (matrix_products, 2 * SIDE**3 * PRODUCTS),
    "cache": (cache, 12 * IN_CACHE * SWEEPS * THREADS),
    "memory": (memory, 8 * IN_MEMORY),
}
"""What makes each measurement, and the operations, or bytes read and written, that one takes."""

if __name__ == "__main__":
    run(lambda settings: serve(PEAKS[settings["peak"]][0]()))
