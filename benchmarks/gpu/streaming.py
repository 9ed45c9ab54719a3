"""A kernel matrix without room on the card: streamed to the memory of the CPU, beside one that stays."""

from collections.abc import Iterator
from unittest.mock import patch

import torch

from convrfm import kernels
from convrfm.kernels import devices

from .clock import timed
from .session import Line, Session


def streaming(session: Session) -> Iterator[Line]:
    """The same matrix both ways, within the same memory for temporaries; a full card is pretended."""
    n, shape, depth, budget = (6, (1, 6, 6), 1, 8000) if session.tiny else (20_000, (3, 32, 32), 3, 1 << 33)
    kernel = kernels.NTK(kernels.vanilla(depth), engine=session.engine, memory_budget=budget)
    x = torch.randn(n, *shape, generator=torch.Generator().manual_seed(0)).to(session.device)
    kernel(x[: n // 2])  # compiles
    in_place, K = timed(lambda: kernel(x), session.device)
    K = K.cpu()
    session.memory  # noqa: B018
    with patch.object(devices, "unused_memory", return_value=0):
        streamed, found = timed(lambda: kernel(x), session.device)
    yield {
        "name": f"K of {n} images, {'x'.join(map(str, shape))}, depth {depth}",
        "seconds": streamed,
        "seconds_in_place": in_place,
        "memory_gb": session.memory / 1e9,
        "other_bits": int((found != K).sum()),
    }
