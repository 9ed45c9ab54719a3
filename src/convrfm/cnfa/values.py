"""Other values in a network's parameters and buffers for a while: initial weights, the same on another device, or copies."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import InputError, ModelFileError
from ..networks.weights import as_named_by, state_dict_in

Values = list[tuple[Tensor, Tensor]]
"""Parameters and buffers, each with the values it is to hold."""


def moved(network: nn.Module, device: torch.device) -> Values:
    """The network's own values on a device."""
    return _mapped(network, lambda values: values.to(device))


def loaded(network: nn.Module, state: Mapping[str, Any]) -> Values:
    """What the network holds after loading a state dict, of itself or of a wrapper of it, alone or under keys of a checkpoint;
    it holds what it held before.

    Raises:
        InputError: If it is not a state dict of this network.
    """
    fresh = _mapped(network, Tensor.clone)
    with holding(fresh), torch.no_grad():
        try:
            if network.state_dict().keys().isdisjoint(state):
                state = state_dict_in(state, "initial")
            network.load_state_dict(as_named_by(network, state, "initial"))
        except (ModelFileError, RuntimeError, TypeError, AttributeError) as error:
            raise InputError(f"initial is not a state dict of this network: {error}") from error
    return fresh


def copies(network: nn.Module) -> Values:
    """The network's own values once more: what a forward pass does to them in place, it does to these."""
    return _mapped(network, Tensor.clone)


@contextmanager
def holding(values: Values) -> Iterator[None]:
    """The network with these values; with its own again after it. No value is copied.

    Autocast keeps what it made of a parameter by the parameter, whatever values that holds by then: it makes it anew.
    """
    own = [(tensor, tensor.data) for tensor, _ in values]
    try:
        for tensor, other in values:
            tensor.data = other
        torch.clear_autocast_cache()
        yield
    finally:
        for tensor, before in own:
            tensor.data = before
        torch.clear_autocast_cache()


def _mapped(network: nn.Module, function: Callable[[Tensor], Tensor]) -> Values:
    tensors = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    if any(is_lazy(tensor) for tensor in tensors.values()):
        raise InputError("a lazy network must have run once before it takes initial weights or another device.")
    return [(tensor, function(tensor.detach())) for tensor in tensors.values()]
