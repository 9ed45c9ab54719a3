"""Which engine serves a device."""

import torch

from ...errors import InputError
from .protocol import Engine
from .reference import ReferenceEngine

ENGINES: dict[str, type[Engine]] = {"reference": ReferenceEngine}


def choose_engine(name: str, device: torch.device) -> Engine:
    """The engine of this name; "auto" takes the fastest one that runs on the device."""
    if name == "auto":
        return ReferenceEngine()
    if name not in ENGINES:
        raise InputError(f"engine must be one of {['auto', *ENGINES]}; got {name!r}.")
    return ENGINES[name]()


def explain_choice(device: torch.device) -> str:
    """Which engine "auto" takes on this device, and why."""
    return f"{choose_engine('auto', device).name}: plain torch, the only engine of this version"
