"""Whether images will fit into memory, found out from their sizes before they are read."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..quantities import size

FLOAT_BYTES = 4  # of a pixel that a model takes, beside the one that was read
MEMINFO = Path("/proc/meminfo")


def check_memory(what: str, n: int, shape: Sequence[int], itemsize: int) -> None:
    """Raise `InputError` unless `n` images of this shape fit into memory, as they are stored and as floats."""
    needed, free = n * math.prod(shape) * (itemsize + FLOAT_BYTES), free_memory()
    if needed > free:
        raise InputError(
            f"{what} must fit into memory; they need {size(needed)} and {size(free)} are free. "
            "Take fewer, or smaller ones (image_size, for pictures)."
        )


def free_memory() -> int:
    """Bytes that can be had without swapping."""
    try:
        lines = dict(line.split(":") for line in MEMINFO.read_text(encoding="utf-8").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux: all there is
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 1 << 62
