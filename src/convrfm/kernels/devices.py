"""Where to compute, and with how much memory.

One rule for all defaults: who is given tensors or a network computes where these are (kernels, the meter, its tracker); who is
given arrays or files (estimators, the command line) takes "auto", a GPU where there is one, and gives arrays back.
"""

import os
import sys
from pathlib import Path

import torch

from ..errors import InputError

ON_CPUS = 1 << 29  # bytes
MEMINFO, CONTROL_GROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def chosen_device(name: str | torch.device) -> torch.device:
    """The device of this name; "auto" takes a GPU where there is one.

    Raises:
        InputError: if torch cannot use it on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    must = f'device must be "auto" or a torch device of this machine; got {name!r}'
    try:
        device = torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"{must}. {error}") from error
    if device.type == "meta":
        raise InputError(f"{must}, where tensors have no values.")
    return device


def default_budget(device: torch.device) -> int:
    """How many bytes temporaries may take beyond the result: 512 MiB, or on a GPU a quarter of what is free there."""
    unused = unused_memory(device)
    return ON_CPUS if unused is None else unused // 4


def unused_memory(device: torch.device) -> int | None:
    """How many bytes a GPU has left, and torch on it; None for other devices."""
    if device.type != "cuda":
        return None
    kept_by_torch = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept_by_torch


def free_memory() -> int:
    """Bytes beside a GPU that can be had without swapping, on the machine and within the limit of a container."""
    return min(_free_on_the_machine(), _free_in_the_container())


def _free_in_the_container() -> int:
    """What a control group (version 2) leaves of its limit; its files' pages that nobody has touched lately can be had too."""
    try:
        limit, current, fields = (
            _told_by(CONTROL_GROUP / name) for name in ("memory.max", "memory.current", "memory.stat")
        )
        untouched = dict(line.split() for line in fields.splitlines())["inactive_file"]
        return max(0, int(limit) - int(current) + int(untouched))
    except (OSError, KeyError, ValueError):  # no such group, or none with a limit
        return sys.maxsize


def _free_on_the_machine() -> int:
    try:
        lines = dict(line.split(":") for line in _told_by(MEMINFO).splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux: all there is
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 1 << 62


def _told_by(file: Path) -> str:
    return file.read_text(encoding="ascii")
