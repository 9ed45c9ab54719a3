"""Other values in a network's parameters and buffers for a while: initial weights, the same on another device, or copies."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import InputError

Values = list[tuple[Tensor, Tensor]]
"""Parameters and buffers, each with the values it is to hold."""


def moved(network: nn.Module, device: torch.device | str) -> Values:
    """The network's own values on a device."""
    return _mapped(network, lambda values: values.to(device))


def loaded(network: nn.Module, state: Mapping[str, Tensor]) -> Values:
    """What the network holds after loading a state dict; it holds what it held before.

    Raises:
        InputError: If it is not a state dict of this network.
    """
    fresh = _mapped(network, Tensor.clone)
    with holding(fresh), torch.no_grad():
        try:
            network.load_state_dict(state)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise InputError(f"initial is not a state dict of this network: {error}") from error
    return fresh


def check_alike(network: nn.Module, initial: nn.Module) -> None:
    """Raise `InputError` unless both networks hold values of the same names and shapes, as far as these are known."""
    here, there = network.state_dict(), initial.state_dict()

    def shape(values: Mapping[str, Tensor], name: str) -> str:
        return f"of shape {tuple(values[name].shape)}" if name in values else "absent"

    for name in dict.fromkeys([*here, *there]):
        if any(is_lazy(values[name]) for values in (here, there) if name in values):
            continue
        if shape(here, name) != shape(there, name):
            raise InputError(
                f"initial must be this network with other weights: {name} is {shape(here, name)} in the network, and "
                f"{shape(there, name)} in initial."
            )


def copies(network: nn.Module) -> Values:
    """The network's own values once more: what a forward pass does to them in place, it does to these."""
    return _mapped(network, Tensor.clone)


@contextmanager
def holding(values: Values) -> Iterator[None]:
    """The network with these values; with its own again after it. No value is copied."""
    own = [(tensor, tensor.data) for tensor, _ in values]
    try:
        for tensor, other in values:
            tensor.data = other
        yield
    finally:
        for tensor, before in own:
            tensor.data = before


def _mapped(network: nn.Module, function: Callable[[Tensor], Tensor]) -> Values:
    tensors = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    if any(is_lazy(tensor) for tensor in tensors.values()):
        raise InputError("a lazy network must have run once before it takes initial weights or another device.")
    return [(tensor, function(tensor.detach())) for tensor in tensors.values()]
