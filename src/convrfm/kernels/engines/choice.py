"""Which engine serves an architecture on a device."""

import torch

from ...errors import InputError
from ..recursion import Recursion
from .cpu import CpuEngine
from .protocol import Engine
from .reference import ReferenceEngine

ENGINES: dict[str, type[Engine]] = {"cpu": CpuEngine, "reference": ReferenceEngine}  # the fastest first


def choose_engine(name: str, recursion: Recursion, device: torch.device) -> Engine:
    """The engine of this name; "auto" takes the fastest one that serves the architecture on the device.

    Raises:
        InputError: if there is no such engine, or it does not serve the architecture there.
    """
    if name == "auto":
        return next(engine() for engine in ENGINES.values() if engine().obstacle(recursion, device) is None)
    if name not in ENGINES:
        raise InputError(f"engine must be one of {['auto', *ENGINES]}; got {name!r}.")
    engine = ENGINES[name]()
    obstacle = engine.obstacle(recursion, device)
    if obstacle is not None:
        raise InputError(f'engine="{name}" cannot serve this kernel: {obstacle} Pass engine="auto".')
    return engine


def explain_engines(recursion: Recursion, device: torch.device) -> dict[str, str]:
    """For every engine, whether it serves the architecture on the device, and if not why; "auto" takes the first."""
    obstacles = {name: engine().obstacle(recursion, device) for name, engine in ENGINES.items()}
    return {name: "serves" if obstacle is None else obstacle for name, obstacle in obstacles.items()}
