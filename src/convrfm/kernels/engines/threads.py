"""Work shared between threads, and tensors as compiled code takes them."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import torch
from torch import Tensor


def share(work: Callable[[Iterator[Any]], None], items: Sequence[Any], most: int = sys.maxsize) -> None:
    """Share items between as many threads as torch uses, at most `most`; compiled code holds no interpreter lock."""
    threads = min(torch.get_num_threads(), len(items), most)
    queue: SimpleQueue[Any] = SimpleQueue()
    for item in [*items, *[None] * threads]:
        queue.put(item)
    with ThreadPoolExecutor(threads) as pool:
        try:
            for done in [pool.submit(work, iter(queue.get, None)) for _ in range(threads)]:
                done.result()
        except BaseException:  # an interrupt too: what is begun is finished, and no more is begun
            with suppress(Empty):
                while True:
                    queue.get_nowait()
            for _ in range(threads):
                queue.put(None)
            raise


def arrays(side: Iterable[Tensor]) -> list[Any]:
    """The same memory, as numpy."""
    return [t.numpy() for t in side]
