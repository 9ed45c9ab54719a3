"""The only hooks: they note, in one forward pass, where in the graph each layer's output is made.

A forward hook keeps the output's edge in the autograd graph rather than the output itself. The edge is that of the
value the layer made, also when an in-place activation overwrites it next, and it holds no memory.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from ..errors import ConvRFMError, InputError
from .layouts import Layer

Head = Callable[[Any], Tensor]


@dataclass(frozen=True)
class Use:
    """One call of a layer in a forward pass."""

    edge: GradientEdge
    input: Tensor | None
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    output_bytes: int


@dataclass
class Pass:
    """A forward pass: the outputs `(n, k)` and every use of every layer that ran."""

    outputs: Tensor
    uses: dict[str, list[Use]]
    weights: dict[str, Tensor] = field(repr=False)

    @property
    def final_linear(self) -> str | None:
        """The linear layer whose output the outputs are, if it ran only once."""
        made_by = get_gradient_edge(self.outputs)
        for name, uses in self.uses.items():
            edge = uses[0].edge
            if uses[0].input is not None and len(uses) == 1 and edge.node is made_by.node:
                return name
        return None


@contextmanager
def as_found(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, uncompiled and with gradients, within the context; every module's own mode again after it."""
    modes = [(module, module.training) for module in network.modules()]
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if any(_is_compiled(module) for module, _ in modes):  # else the import of the compiler alone takes seconds
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        try:
            network.eval()
            yield
        finally:
            for module, mode in modes:
                module.training = mode


def _is_compiled(module: nn.Module) -> bool:
    return hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None


def forward(network: nn.Module, layers: Mapping[str, Layer], images: Tensor, head: Head | None) -> Pass:
    """Run the network on a batch, noting where the layers' outputs are made.

    Args:
        network: In evaluation mode.
        layers: What to note.
        images: One batch.
        head: From the network's output to outputs `(n, k)`; None if it is one.

    Raises:
        InputError: If the network cannot take the images, a layer's activations are not finite, or the outputs have the
            wrong form or no gradient.
    """
    uses: dict[str, list[Use]] = {}
    weights: dict[str, Tensor] = {}

    def note(name: str, layer: Layer, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        _check_finite(name, inputs[0], output)
        if not torch.is_grad_enabled():
            raise InputError(f"layer {name!r} runs under torch.no_grad(), so it has no gradient to measure.")
        if not output.requires_grad:  # frozen parameters: the graph begins here
            output = output.detach().requires_grad_().clone()
        uses.setdefault(name, []).append(
            Use(
                edge=get_gradient_edge(output),
                input=inputs[0] if isinstance(layer, nn.Linear) else None,
                input_shape=tuple(inputs[0].shape),
                output_shape=tuple(output.shape),
                output_bytes=output.numel() * output.element_size(),
            )
        )
        weights[name] = layer.weight.detach()
        return output

    with ExitStack() as hooks:
        for name, layer in layers.items():
            handle = layer.register_forward_hook(
                lambda module, inputs, output, name=name: note(name, module, inputs, output)
            )
            hooks.callback(handle.remove)
        outputs = _outputs(network, images, head)
    return Pass(outputs, uses, weights)


def inputs_of(network: nn.Module, name: str, layer: Layer, images: Tensor) -> Tensor:
    """What a layer takes in, in its only use (or its first) on these images."""
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    try:
        run_network(network, images)
    finally:
        handle.remove()
    if not seen:
        raise InputError(f"layer {name!r} did not run on these images (in evaluation mode).")
    return seen[0]


def run_network(network: nn.Module, images: Tensor) -> Any:
    """The network's own output; images go to where its first parameter is, floating ones to its precision.

    Raises:
        InputError: If the network cannot take the images.
    """
    like = next(network.parameters())
    images = images.to(like.device, like.dtype) if images.is_floating_point() else images.to(like.device)
    try:
        return network(images)
    except (ConvRFMError, torch.OutOfMemoryError):
        raise
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"the network cannot take images of shape {tuple(images.shape)} and type {images.dtype}: {error}"
        ) from error


def _outputs(network: nn.Module, images: Tensor, head: Head | None) -> Tensor:
    raw = run_network(network, images)
    outputs = raw if head is None else head(raw)
    n = images.shape[0]
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or outputs.shape[0] != n or outputs.shape[1] == 0:
        got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        whose = "the network's output" if head is None else "what head returns"
        raise InputError(
            f"{whose} must be a tensor (n, k) with n = {n} images; got {got}. Pass a head that makes one, "
            "such as head=lambda output: output['out'].mean((2, 3))."
        )
    if not outputs.is_floating_point() or not outputs.requires_grad:
        raise InputError(
            "the outputs must require grad, through the measured layers; these do not. "
            "Look for torch.no_grad(), detach(), argmax or a rounding in the network or the head."
        )
    return outputs


def _check_finite(name: str, entered: Tensor, output: Tensor) -> None:
    if output.detach().sum(dtype=torch.float64).isfinite():
        return
    if not output.isfinite().all():
        where = "its output" if entered.isfinite().all() else "its input"
        raise InputError(
            f"layer {name!r}: {where} holds NaN or infinity. Check the images' scale, the weights, and half precision."
        )
