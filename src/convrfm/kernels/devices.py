"""Where to compute, and with how much memory.

One rule for all defaults: who is given tensors or a network computes where these are (kernels, the meter, its tracker); who is
given arrays or files (estimators, the command line) takes "auto", a GPU where there is one, and gives arrays back.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError

ON_CPUS = 1 << 29  # bytes


def chosen_device(name: str) -> torch.device:
    """The device of this name; "auto" takes a GPU where there is one.

    Raises:
        InputError: if torch cannot use it on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f'device must be "auto" or a torch device of this machine; got {name!r}. {error}') from error


def default_budget(device: torch.device) -> int:
    """How many bytes temporaries may take beyond the result: 512 MiB, or on a GPU a quarter of what is free there."""
    if device.type != "cuda":
        return ON_CPUS
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return (torch.cuda.mem_get_info(device)[0] + unused) // 4


def room_for_matrix(x: Float[Tensor, "n c h w"], columns: int) -> Float[Tensor, "n m"]:
    """Where a kernel matrix of x's images is written, on their device.

    Raises:
        InputError: if the device has no room for it.
    """
    try:
        return x.new_empty(len(x), columns)
    except torch.OutOfMemoryError as error:
        gigabytes = len(x) * columns * x.element_size() / 1e9
        raise InputError(
            f"a kernel matrix of {len(x)} x {columns} takes {gigabytes:.1f} GB, and {x.device} has no room for it. Compute "
            "some rows at a time, kernel(x[rows], z), and keep them elsewhere."
        ) from error
