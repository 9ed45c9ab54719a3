"""Which layers of a network are measured, and under which names."""

from collections.abc import Sequence
from difflib import get_close_matches

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from ..errors import InputError
from .layouts import MEASURED, Layer

COMPILED = "_orig_mod"


def unwrapped(network: nn.Module) -> nn.Module:
    """The network inside `torch.compile`, `DataParallel` and `DistributedDataParallel`, however nested."""
    while True:
        if isinstance(network, DataParallel | DistributedDataParallel):
            network = network.module
        elif isinstance(getattr(network, COMPILED, None), nn.Module):
            network = getattr(network, COMPILED)
        else:
            return network


def measurable_layers(network: nn.Module, names: Sequence[str] | None) -> dict[str, Layer]:
    """The layers to measure by their names in `network.named_modules()`.

    Args:
        network: Unwrapped.
        names: Exact names; None for all convolutions, transposed convolutions and linear layers.

    Raises:
        InputError: If there are none, or a name is not that of such a layer (near matches are listed).
    """
    found: dict[str, Layer] = {}
    for name, module in network.named_modules():
        if isinstance(module, MEASURED):
            found[".".join(part for part in name.split(".") if part != COMPILED)] = module
    if not found:
        raise InputError(
            f"network must contain a convolution or a linear layer; {type(network).__name__} has none. "
            "Functional calls (torch.nn.functional.conv2d) cannot be seen: use modules."
        )
    if names is None:
        return found
    for name in names:
        if name not in found:
            near = get_close_matches(name, found, n=5, cutoff=0.4) or list(found)[:5]
            raise InputError(
                f"layers: no convolution or linear layer is named {name!r}. Near matches: {', '.join(near)}."
            )
    return {name: layer for name, layer in found.items() if name in names}
