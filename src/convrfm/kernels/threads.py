"""Work shared between threads: the same bits for any number of them, and no slowdown but the cores that others take.

Three rules make it so. Where a kernel computes on the CPU, torch has one thread (`one_torch_thread`): a product or a sum is
then never cut by the number of threads, and no team of torch's own waits in a spin for a core that is busy. Work is cut into
parts by its own size, whose results are put in their places or added up in order (`share`, `in_order`, `sum_in_order`). And
what is solved with small matrices has one thread too (`threads_for`): a team's threads would gain little, and beside other
programs they wait for each other longer than they work.
"""

import math
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

import torch
from torch import Tensor

from .tiling import blocks

Item = TypeVar("Item")
Result = TypeVar("Result")
SMALL = 1024  # rows of a matrix that one thread decomposes in a third of a second, two in two thirds of that
MOST_PARTS = 16  # of one sum: each holds a result of its own until it is added


class _Limit(threading.local):
    """How deep in `one_torch_thread` a thread is, and how many threads torch had there before."""

    depth = 0
    before = 1


_LIMIT = _Limit()
_HELD: list[int] = []  # what every holding thread found: a thread that begins meanwhile finds one thread


@contextmanager
def one_torch_thread() -> Iterator[int]:
    """Hold torch to one thread on the CPU; gives the number of threads that it had, which work may be shared between."""
    if _LIMIT.depth == 0:
        found = torch.get_num_threads()
        _LIMIT.before = max(_HELD, default=1) if found == 1 else found
        _HELD.append(_LIMIT.before)
        torch.set_num_threads(1)
    _LIMIT.depth += 1
    try:
        yield _LIMIT.before
    finally:
        _LIMIT.depth -= 1
        if _LIMIT.depth == 0:
            _HELD.remove(_LIMIT.before)
            torch.set_num_threads(_LIMIT.before)


def threads_for(rows: int, most: int = SMALL) -> AbstractContextManager[object]:
    """Hold torch to one thread where matrices have at most so many rows."""
    return one_torch_thread() if rows <= most else nullcontext()


@contextmanager
def no_other_thread() -> Iterator[None]:
    """Within it, this thread shares work with no other."""
    with one_torch_thread():
        before, _LIMIT.before = _LIMIT.before, 1
        try:
            yield
        finally:
            _LIMIT.before = before


def share(work: Callable[[Iterator[Item]], None], items: Sequence[Item], most: int = sys.maxsize) -> None:
    """Share items between as many threads as torch has, at most `most`, each with one thread of torch's.

    Compiled code holds no interpreter lock, nor do torch's operations.
    """
    queue: SimpleQueue[Item] = SimpleQueue()
    for item in items:
        queue.put(item)
    stopped = threading.Event()
    gradients, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def left() -> Iterator[Item]:
        with suppress(Empty):
            while not stopped.is_set():
                yield queue.get_nowait()

    def alone() -> None:
        torch.set_num_threads(1)
        _LIMIT.depth = 1  # as long as this thread lives
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
            work(left())

    with one_torch_thread() as threads:
        count = min(threads, len(items), most)
        if count <= 1:
            work(left())
            return
        _run(alone, count, stopped)


def _run(worker: Callable[[], None], count: int, stopped: threading.Event) -> None:
    with ThreadPoolExecutor(count) as pool:
        try:
            workers = [pool.submit(worker) for _ in range(count)]
            wait(workers, return_when=FIRST_EXCEPTION)
        finally:  # after a failure or an interrupt, what is begun is finished, and no more is begun
            stopped.set()
        for done in workers:
            done.result()


def in_order(work: Callable[[Item], Result], items: Sequence[Item], most: int = sys.maxsize) -> list[Result]:
    """What `work` makes of every item, shared between at most so many threads, in the order of the items."""
    done: dict[int, Result] = {}

    def some(numbers: Iterator[int]) -> None:
        for number in numbers:
            done[number] = work(items[number])

    share(some, range(len(items)), most)
    return [done[number] for number in range(len(items))]


def parts(n: int, size: int, device: torch.device) -> list[slice]:
    """0..n in parts of a size for threads to share; in one for a GPU, which shares work itself."""
    return blocks(n, size if device.type == "cpu" else n)


def sum_in_order(work: Callable[[slice], Tensor], n: int, device: torch.device, most: int = sys.maxsize) -> Tensor:
    """The sum of what `work` makes of the parts of 0..n, at most sixteen whatever the number of threads (at most `most`)."""
    total, *others = in_order(work, parts(n, math.ceil(n / MOST_PARTS), device), most)
    for part in others:
        total += part
    return total
