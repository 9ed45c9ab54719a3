"""What torch records, to differentiate it: it is computed by one thread, and no memory of it is used twice."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor

from .threads import no_other_thread


def is_recorded(*tensors: Tensor | None) -> bool:
    """Whether torch records what is made of any of them."""
    return torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)


@contextmanager
def recorded_by_one_thread(*tensors: Tensor | None) -> Iterator[None]:
    """Within it, what torch records of these is done by one thread: sums that two add to would lose some of its record."""
    with no_other_thread() if is_recorded(*tensors) else nullcontext():
        yield
