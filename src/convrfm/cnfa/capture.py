"""One watched forward pass: every product with a weight, what was multiplied, and where in the graph its result is made.

A function mode sees each call of a convolution or a matrix product, whoever makes it: a module of `torch.nn`, a subclass
with a forward of its own, or a functional call. The weight is the tensor that was multiplied, and the place in the
autograd graph is that of the product itself, before any hook, in-place operation or scale that follows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ..errors import ConvRFMError, InputError
from .batches import Batch
from .calls import Call, read_call
from .layers import Names
from .products import Product
from .provenance import IMAGES, PRODUCTS, WEIGHTS, Provenance
from .state import unchanged
from .target import Target

LAYERS = (nn.modules.conv._ConvNd, nn.Linear)
NO_GRAD = "it runs without gradients: under torch.no_grad(), or inside an autograd function"
IMAGE_DEPENDENT = "its weight depends on the image"
ACTIVATIONS = "both factors depend on the image, so neither is a weight"
IMAGELESS = "neither factor depends on the image: it makes a weight"
CONSTANT = "its weight is a constant, not a parameter"
COMPLEX = "it is complex"
FORM = "its form is not a sum over the entries of a patch"

_OPENED = FunctionType(
    functional.multi_head_attention_forward.__code__,
    {**vars(functional), "has_torch_function": lambda _: False},
    argdefs=functional.multi_head_attention_forward.__defaults__,
)
"""Attention as the products it is made of, rather than as one call."""


@dataclass(frozen=True)
class Skipped:
    """A product that ran and was not measured.

    Attributes:
        name: Of the module, the parameter or the function.
        kind: What ran.
        reason: Why it was not measured.
    """

    name: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Use:
    """One product with a weight in a forward pass."""

    name: str
    product: Product
    weight: Tensor
    edge: GradientEdge
    output_shape: tuple[int, ...]
    output_bytes: int
    entered: Tensor | None = field(default=None, repr=False)


@dataclass(frozen=True)
class FinalProduct:
    """`outputs = W h + b` with nothing after it, W and b apart from everything that is measured."""

    name: str
    entered: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Pass:
    """A forward pass: the outputs `(n, k)`, every use of every product, and what was left out."""

    outputs: Tensor
    uses: list[Use]
    skipped: list[Skipped]
    final: FinalProduct | None


class Watch(TorchFunctionMode):
    """Notes every product with a weight that runs within it."""

    def __init__(self, names: Names, kept: str | None = None) -> None:
        super().__init__()
        self.names = names
        self.uses: list[Use] = []
        self.skipped: dict[Skipped, None] = {}
        self.provenance = Provenance(self._overlooked)
        self._kept = kept
        self._calling = ""
        self._last: tuple[Use, Tensor, Tensor, tuple[int, int]] | None = None

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.multi_head_attention_forward:
            with self:
                return _OPENED(*args, **kwargs)
        call = read_call(func, args, kwargs)
        if call is not None:
            with self.provenance.following():
                return self._noted(call, func(*args, **kwargs))
        self._calling = getattr(func, "__name__", "")
        try:
            result = func(*args, **kwargs)
            return contiguous_gradient(result) if self._calling == "batch_norm" else result
        finally:
            self._calling = ""

    def _noted(self, call: Call, output: Tensor) -> Tensor:
        place, reason = self._weight_of(call)
        weight, entered = call.factors[place], call.factors[1 - place]
        if reason is not None:
            self._skip(call, weight, reason)
            return output
        product = call.product(place)
        assert product is not None
        name = self.names.of(weight, call.name)
        _check_finite(name, entered, output)
        if not output.requires_grad:  # frozen parameters: the graph begins here
            output = output.detach().requires_grad_().clone()
        edge = get_gradient_edge(output)
        if output._is_view():  # what happens to it in place would move the edge
            output = output.clone()
        use = Use(
            name=name,
            product=product,
            weight=weight.detach(),
            edge=edge,
            output_shape=tuple(output.shape),
            output_bytes=output.numel() * output.element_size(),
            entered=entered.detach().clone() if name == self._kept else None,
        )
        self.uses.append(use)
        apart = not any(self._measured(t) for t in (weight, call.added) if t is not None)
        if call.name == "linear" and entered.ndim == 2 and apart:
            self._last = use, entered, output, (entered._version, output._version)
        self.provenance.mark(output, PRODUCTS)
        return output

    def _weight_of(self, call: Call) -> tuple[int, str | None]:
        """Which factor is the weight, and what keeps it from being measured."""
        origins = [self.provenance.origin(factor) for factor in call.factors]
        learned = [origin & (WEIGHTS | IMAGES) == WEIGHTS for origin in origins]
        place = 0 if learned[0] and not learned[1] and not call.weight_is_second else 1
        if all(origin & IMAGES for origin in origins):
            return place, IMAGE_DEPENDENT if call.weight_is_second else ACTIVATIONS
        if not call.weight_is_second and not any(origin & IMAGES for origin in origins):
            return place, IMAGELESS
        if not learned[place]:
            return place, IMAGE_DEPENDENT if call.weight_is_second and origins[1] & IMAGES else CONSTANT
        if any(factor.is_complex() for factor in call.factors):
            return place, COMPLEX
        if not torch.is_grad_enabled():
            return place, NO_GRAD
        return place, FORM if call.product(place) is None else None

    def _measured(self, tensor: Tensor) -> bool:
        return bool(self.provenance.origin(tensor) & (PRODUCTS | IMAGES))

    def _skip(self, call: Call, weight: Tensor, reason: str) -> None:
        if any(self.provenance.origin(factor) & WEIGHTS for factor in call.factors):
            nameless = reason in (ACTIVATIONS, IMAGELESS)
            name = self.names.running(call.name) if nameless else self.names.of(weight, call.name)
            self.skipped[Skipped(name, call.name, reason)] = None

    def _overlooked(self, operands: Sequence[Tensor]) -> None:
        function = self._calling or "compiled code"
        origins = [self.provenance.origin(operand) & (WEIGHTS | IMAGES) for operand in operands]
        weights = [t for t, origin in zip(operands, origins, strict=True) if origin == WEIGHTS and t.ndim > 1]
        for weight in weights:
            self.skipped[Skipped(self.names.of(weight, function), function, f"it multiplies inside {function}")] = None
        if not weights:
            reason = ACTIVATIONS if any(origin & IMAGES for origin in origins) else IMAGELESS
            self.skipped[Skipped(self.names.running(function), function, reason)] = None

    def final(self, outputs: Tensor) -> FinalProduct | None:
        """The last linear product, if the outputs are its very result."""
        if self._last is None:
            return None
        use, entered, output, versions = self._last
        if outputs is not output or versions != (entered._version, output._version):
            return None
        alone = sum(other.name == use.name for other in self.uses) == 1
        return FinalProduct(use.name, entered, use.weight) if alone and use.weight.ndim == 2 else None


def watched(
    network: nn.Module, batch: Batch, target: Callable[[Any, Batch], Any] = lambda raw, _: raw, kept: str | None = None
) -> tuple[Watch, Any]:
    """Run the network on a batch, watched, and take what the target makes of its output.

    Args:
        network: In evaluation mode.
        batch: What it takes.
        target: From the network's output and the batch that was placed for it.
        kept: Name of a layer whose inputs are kept.
    """
    watch = Watch(Names(network), kept)
    for tensor in _weights(network):
        watch.provenance.mark(tensor, WEIGHTS)
    with unchanged(network):
        placed = batch.placed(network)
        for tensor in placed.tensors:
            watch.provenance.mark(tensor, IMAGES)
        with watch.names.watching(), watch.provenance, watch:
            raw = run_network(network, placed)
        return watch, target(raw, placed)


def forward(network: nn.Module, batch: Batch, target: Target) -> Pass:
    """Run the network on a batch, noting every product with a weight.

    Args:
        network: In evaluation mode.
        batch: What it takes.
        target: What of its output is differentiated.

    Raises:
        InputError: If the network cannot take the batch, a layer's activations are not finite, or the outputs have the
            wrong form or no gradient.
    """
    watch, outputs = watched(network, batch, target)
    skipped = list(watch.skipped)
    if not watch.uses:
        raise InputError(
            f"network must contain a convolution or a linear layer; {type(network).__name__} ran none that can be "
            f"measured.{listed(skipped)}"
        )
    if not outputs.requires_grad:
        raise InputError(
            "the outputs must require grad, through the measured layers; these do not. Look for torch.no_grad(), "
            f"detach(), argmax or a rounding in the network or the head.{listed(skipped)}"
        )
    return Pass(outputs, watch.uses, skipped, watch.final(outputs))


def first_use(network: nn.Module, batch: Batch, name: str) -> Use:
    """A layer's first use on these images, with what it took in.

    Raises:
        InputError: If it did not run.
    """
    for use in watched(network, batch, kept=name)[0].uses:
        if use.name == name:
            return use
    raise InputError(f"layer {name!r} did not run on these images (in evaluation mode).")


def run_network(network: nn.Module, placed: Batch) -> Any:
    """The network's own output.

    Raises:
        InputError: If the network raises anything.
    """
    try:
        return network(*placed.arguments, **placed.keywords)
    except (ConvRFMError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise InputError(
            f"the network cannot take {placed.description}: it raised {type(error).__name__}: {error}"
        ) from error


def listed(skipped: Sequence[Skipped]) -> str:
    """What was left out, as the end of a message."""
    return "".join(f" {each.name} ({each.kind}) was left out: {each.reason}." for each in skipped[:5])


def contiguous_gradient(output: Tensor) -> Tensor:
    """Of one image alone, torch's batch norm on a CPU misreads a gradient whose channels come last."""
    if output.requires_grad and output.device.type == "cpu" and len(output) == 1:
        output.register_hook(Tensor.contiguous)
    return output


def _weights(network: nn.Module) -> Iterator[Tensor]:
    """Every parameter, and what a layer of torch's own has in the place of one."""
    yield from network.parameters()
    for module in network.modules():
        if isinstance(module, LAYERS):
            for held in (vars(module), module._buffers):
                if isinstance(weight := held.get("weight"), Tensor):
                    yield weight


def _check_finite(name: str, entered: Tensor, output: Tensor) -> None:
    if output.detach().sum(dtype=torch.float64).isfinite():
        return
    if not output.isfinite().all():
        where = "its output" if entered.isfinite().all() else "its input"
        raise InputError(
            f"layer {name!r}: {where} holds NaN or infinity. Check the images' scale, the weights, and half precision."
        )
