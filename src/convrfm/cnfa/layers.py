"""Under which names the products of a network are measured."""

import re
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from difflib import get_close_matches
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import is_lazy
from torch.optim.swa_utils import AveragedModel

from ..errors import InputError
from .provenance import has_storage

COMPILED = "_orig_mod"


def unwrapped(network: nn.Module) -> nn.Module:
    """The network inside `torch.compile`, `AveragedModel`, `DataParallel` and `DistributedDataParallel`, however nested."""
    while True:
        if isinstance(network, AveragedModel | DataParallel | DistributedDataParallel):
            network = network.module
        elif isinstance(getattr(network, COMPILED, None), nn.Module):
            network = getattr(network, COMPILED)
        else:
            return network


class Names:
    """Names of products: that of the module whose weight is multiplied, of the parameter, or of the module that runs.

    Args:
        network: Unwrapped.

    Attributes:
        modules: Name of each module, by its id.
        aliases: From every name of a module to that one.
        parameters: Names and parameters by the address of their values.
        ran: The modules that ran, by name.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self.modules: dict[int, str] = {}
        self.aliases: dict[str, str] = {}
        for name, module in network.named_modules(remove_duplicate=False):
            plain = _plain(name)
            self.aliases[plain] = self.modules.setdefault(id(module), plain)
        self.parameters: dict[int, list[tuple[str, nn.Parameter]]] = {}
        for name, parameter in network.named_parameters():
            if is_lazy(parameter):
                continue
            self.parameters.setdefault(_address(parameter), []).append((_plain(name), parameter))
        self._running: list[nn.Module] = []
        self.ran: dict[str, nn.Module] = {}

    def watching(self) -> ExitStack:
        """Know which module runs, until the stack is closed."""
        stack = ExitStack()
        self._running, self.ran = [], {}
        for module in self._network.modules():
            if not isinstance(module, torch.jit.ScriptModule):
                stack.callback(module.register_forward_pre_hook(self._enter, prepend=True).remove)
                stack.callback(module.register_forward_hook(self._leave, always_call=True).remove)
        return stack

    def of(self, weight: Tensor, function: str) -> str:
        """The name of a product: of the parameter, or the part of it, that is multiplied; otherwise of what runs."""
        if not has_storage(weight):
            return self.running(function)
        name, parameter = self._parameter(weight)
        if parameter is None or (self._running and parameter is self._running[-1]._parameters.get("weight")):
            return self.running(function)
        return f"{name}{part}" if (part := _part(weight, parameter)) else name.removesuffix(".weight")

    def running(self, function: str) -> str:
        """The module that runs; the function where that is the whole network."""
        module = self._running[-1] if self._running else None
        return self.modules.get(id(module), "") or f"{function}()"

    def _parameter(self, weight: Tensor) -> tuple[str, nn.Parameter | None]:
        for name, parameter in self.parameters.get(_address(weight), ()):
            if 0 <= weight.storage_offset() - parameter.storage_offset() < parameter.numel():
                return name, parameter
        return "", None

    def _enter(self, module: nn.Module, _: Any) -> None:
        self._running.append(module)
        self.ran[self.modules[id(module)]] = module

    def _leave(self, module: nn.Module, _: Any, __: Any) -> None:
        if self._running and self._running[-1] is module:
            self._running.pop()

    @property
    def known(self) -> set[str]:
        """All names of modules and parameters."""
        return self.aliases.keys() | {name for named in self.parameters.values() for name, _ in named}

    def check_known(self, wanted: Iterable[str], found: Sequence[str]) -> None:
        """Raise `InputError` for a name that nothing in the network has, and no product that was found."""
        known = self.known
        for name in wanted:
            if name not in found and re.split(r"[:\[]", name)[0] not in known:
                self.refuse(name, found)

    def check_ran(self, wanted: Iterable[str], found: Sequence[str]) -> None:
        """Raise `InputError` unless every name is that of a product that was found."""
        for name in wanted:
            if self.aliases.get(name, name) not in found:
                self.refuse_idle(name, found)

    def refuse(self, name: str, found: Sequence[str]) -> NoReturn:
        """Raise the `InputError` for what is in no network of these names."""
        signs = " In a pattern * stands for anything, and no other sign does." if set(name) & set("?[") else ""
        raise InputError(
            f"layers: no convolution or linear layer is named {name!r}. Near matches: {_near(name, found)}.{signs}"
        )

    def refuse_idle(self, name: str, found: Sequence[str]) -> NoReturn:
        """Raise the `InputError` for what did not run, or holds what did."""
        if any(each.startswith(f"{name}.") for each in found):
            raise InputError(
                f"layers: {name} multiplies by no weight of its own, but layers in it do. Pass '{name}.*'."
            )
        raise InputError(
            f"layers: {name} did not run on these images (in evaluation mode), or has no weight that it multiplies "
            f"by. Names that did: {_near(name, found)}."
        )


def _near(name: str, found: Sequence[str]) -> str:
    return ", ".join(get_close_matches(name, found, n=5, cutoff=0.4) or found[:5])


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != COMPILED)


def _part(weight: Tensor, parameter: Tensor) -> str:
    """Which rows of the parameter it is, as an index; empty for all of it, and for parts that are no rows."""
    stride = parameter.stride(0) if parameter.ndim else 0
    if not stride or weight.nbytes >= parameter.nbytes:
        return ""
    first = (weight.storage_offset() - parameter.storage_offset()) // stride
    if (weight.shape, weight.stride()) == (parameter.shape[1:], parameter.stride()[1:]):
        return f"[{first}]"
    if (weight.shape[1:], weight.stride()) == (parameter.shape[1:], parameter.stride()):
        return f"[{first}:{first + len(weight)}]"
    return ""


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
