"""Work shared between threads, and tensors as compiled code takes them."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
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
        for done in [pool.submit(work, iter(queue.get, None)) for _ in range(threads)]:
            done.result()


def arrays(side: Iterable[Tensor]) -> list[Any]:
    """The same memory, as numpy."""
    return [t.numpy() for t in side]
