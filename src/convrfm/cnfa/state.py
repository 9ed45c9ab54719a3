"""A network is left as it was found: modes, attributes, caches, buffers, hooks, and torch's random state."""

import operator
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy
from torch.utils import checkpoint

from ..errors import InputError

CONTAINERS = (dict, list, set, deque)


@contextmanager
def as_found(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, uncompiled and with gradients, within the context; everything as it was after it.

    Modules that override `train`, as low-rank adapters that merge their weights, run their own, both ways.
    """
    modes = [(module, module.training) for module in network.modules()]
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.random.fork_rng(_accelerators(network)))
        stack.enter_context(_checkpoints_off())
        if (
            "torch._dynamo" in sys.modules
        ):  # nothing is compiled where it was never imported, and its import takes seconds
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(unchanged(network))
        changeable = [p for m in network.modules() if _overrides_train(m) for p in m.parameters()]
        stack.enter_context(_values_kept([*network.buffers(), *changeable]))
        try:
            _evaluate(network)
            yield
        finally:
            for module, mode in modes:
                if module.training != mode and _overrides_train(module):
                    module.train(mode)
            for module, mode in modes:
                module.training = mode


def _evaluate(network: nn.Module) -> None:
    try:
        network.eval()
    except NotImplementedError as error:
        raise InputError(
            f"{type(network).__name__} has no evaluation mode ({error}): measure the module that it was exported from."
        ) from error


def _overrides_train(module: nn.Module) -> bool:
    return type(module).train is not nn.Module.train


@contextmanager
def unchanged(network: nn.Module) -> Iterator[None]:
    """What a forward pass stores in the network, such as a cache that holds a graph, is gone after it."""
    modules = [module for module in network.modules() if not isinstance(module, LazyModuleMixin)]
    attributes = [(vars(module), dict(vars(module))) for module in modules]
    held = (value for _, values in attributes for value in values.values())
    containers = [(each, _content(each)) for each in _containers(held)]
    try:
        yield
    finally:
        for found, values in attributes:
            mode = {"training": found["training"]} if "training" in found else {}
            found.clear()
            found.update({**values, **mode})
        for container, content in containers:
            if not _same(_content(container), content):
                _refill(container, content)


def _containers(held: Iterable[Any]) -> list[Any]:
    """All in these values, in containers of containers too, each once."""
    found: dict[int, Any] = {}
    waiting = list(held)
    while waiting:
        value = waiting.pop()
        if isinstance(value, tuple):
            waiting.extend(value)
        elif isinstance(value, CONTAINERS) and id(value) not in found:
            found[id(value)] = value
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return list(found.values())


def _content(container: Any) -> Any:
    return dict(container.items()) if isinstance(container, dict) else list(container)


def _same(content: Any, before: Any) -> bool:
    """Whether the same objects are at the same places."""
    if isinstance(content, dict) and not _same(list(content.values()), list(before.values())):
        return False
    return len(content) == len(before) and all(map(operator.is_, content, before))


@contextmanager
def _values_kept(tensors: Iterable[Tensor]) -> Iterator[None]:
    kept = [(t, t._version, t.detach().clone()) for t in {id(t): t for t in tensors}.values() if not is_lazy(t)]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, version, values in kept:
                if tensor._version != version:
                    tensor.copy_(values)


def _refill(container: Any, content: Any) -> None:
    container.clear()
    if isinstance(container, dict | set):
        container.update(content)
    else:
        container.extend(content)


def random_states(network: nn.Module) -> list[Tensor]:
    """Of torch's own generators, where the network is: they change when it draws random numbers."""
    return [torch.get_rng_state(), *map(torch.cuda.get_rng_state, _accelerators(network))]


def _accelerators(network: nn.Module) -> list[torch.device]:
    return list({t.device for t in network.parameters() if t.device.type == "cuda"})


class _Plainly:
    """Stands for `torch.utils.checkpoint.CheckpointFunction`: runs at once, and keeps activations."""

    @staticmethod
    def apply(function: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        return function(*args)


def _no_more(*_: Any, **__: Any) -> Iterator[None]:
    """Stands for what `torch.utils.checkpoint` does before and after a function that it will run again."""
    yield


@contextmanager
def _checkpoints_off() -> Iterator[None]:
    """What is checkpointed runs once, and keeps its activations.

    Reentrant checkpoints run without gradients at first, and refuse to be differentiated by what is inside them; the others
    must save at the second run what they saved at the first, when frozen layers were watched.
    """
    ours = {"CheckpointFunction": _Plainly, "_checkpoint_without_reentrant_generator": _no_more}
    before = {name: vars(checkpoint)[name] for name in ours if name in vars(checkpoint)}
    vars(checkpoint).update({name: ours[name] for name in before})
    try:
        yield
    finally:
        vars(checkpoint).update(before)
