"""Work shared between threads, and tensors as compiled code takes them."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any

import torch
from torch import Tensor


def share(work: Callable[[Iterator[Any]], None], items: Sequence[Any], most: int = sys.maxsize) -> None:
    """Share items between as many threads as torch uses, at most `most`; compiled code holds no interpreter lock."""
    threads = min(torch.get_num_threads(), len(items), most)
    queue: SimpleQueue[Any] = SimpleQueue()
    for item in items:
        queue.put(item)
    stopped = Event()

    def left() -> Iterator[Any]:
        with suppress(Empty):
            while not stopped.is_set():
                yield queue.get_nowait()

    with ThreadPoolExecutor(threads) as pool:
        try:
            workers = [pool.submit(work, left()) for _ in range(threads)]
            wait(workers, return_when=FIRST_EXCEPTION)
        finally:  # after a failure or an interrupt, what is begun is finished, and no more is begun
            stopped.set()
        for worker in workers:
            worker.result()


def arrays(side: Iterable[Tensor]) -> list[Any]:
    """The same memory, as numpy."""
    return [t.numpy() for t in side]
