"""Where to compute."""

import torch

from ..errors import InputError


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
