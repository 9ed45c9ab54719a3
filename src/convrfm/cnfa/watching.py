"""A mode in which every product with a weight is seen: what is multiplied, and where in the graph its result is made.

It sees each call of a convolution or a matrix product, whoever makes it: a module of `torch.nn`, a subclass with a forward
of its own, or a functional call. The weight is the tensor that is multiplied, and the place in the autograd graph is that
of the product itself, before any hook, in-place operation or scale that follows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ..errors import InputError
from .calls import Call, read_call, unread
from .layers import Names
from .left_out import LeftOut
from .products import Product
from .provenance import IMAGES, PRODUCTS, WEIGHTS, Provenance, has_storage
from .skipped import ACTIVATIONS, COMPLEX, CONSTANT, FORM, IMAGE_DEPENDENT, IMAGELESS, NO_GRAD

ROUNDING = 8  # units in the last place of the largest weight
DISTANCES = ("pairwise_distance", "cosine_similarity")

_OPENED = FunctionType(
    functional.multi_head_attention_forward.__code__,
    {**vars(functional), "has_torch_function": lambda _: False},
    argdefs=functional.multi_head_attention_forward.__defaults__,
)
"""Attention as the products it is made of, rather than as one call."""


@dataclass(frozen=True)
class Use:
    """One product with a weight in a forward pass."""

    name: str
    product: Product
    weight: Tensor
    edge: GradientEdge
    output_shape: tuple[int, ...]
    output_bytes: int
    dtype: torch.dtype
    entered: Tensor | None = field(default=None, repr=False)


@dataclass(frozen=True)
class FinalProduct:
    """`outputs = W h + b` with nothing after it, W and b apart from everything that is measured."""

    name: str
    entered: Tensor
    weight: Tensor


class Watch(TorchFunctionMode):
    """Notes every product with a weight that runs within it."""

    def __init__(self, names: Names, kept: str | None = None) -> None:
        super().__init__()
        self.names = names
        self.uses: list[Use] = []
        self.left_out = LeftOut(names)
        self.provenance = Provenance(self.left_out.overlooked)
        self._kept = kept
        self._multiplied: dict[str, list[Tensor]] = {}
        self._last: tuple[Use, Tensor, Tensor, tuple[int, int]] | None = None

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.multi_head_attention_forward:
            with self:
                return _OPENED(*args, **kwargs)
        call = read_call(func, args, kwargs)
        if call is not None and all(map(has_storage, call.factors)):
            with self.provenance.following():
                return self._noted(call, func(*args, **kwargs))
        calling = getattr(func, "__name__", "").partition(".")[0]
        if calling in ("numpy", "tolist", "__array__"):
            self.provenance.decides |= bool(self.provenance.origin(args[0]) & IMAGES)
        with self.left_out.within(calling, unread(calling, args, kwargs)):
            result = func(*args, **kwargs)
            if calling in DISTANCES:
                self._compared([value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)])
        return contiguous_gradient(result) if calling == "batch_norm" else result

    def _compared(self, vectors: Sequence[Tensor]) -> None:
        """Vectors are compared entry by entry, which nothing below this call tells from other arithmetic."""
        operands = [(torch.atleast_2d(vector), self.provenance.origin(vector)) for vector in vectors]
        if any(origin & WEIGHTS for _, origin in operands):
            self.left_out.overlooked(operands, False)

    def _noted(self, call: Call, output: Tensor) -> Tensor:
        for factor in call.factors:
            if isinstance(factor, nn.Parameter):  # its values may be new, put there by the forward pass
                self.provenance.mark(factor, WEIGHTS)
        place, reason = self._weight_of(call)
        weight, entered = call.factors[place], call.factors[1 - place]
        if reason is not None:
            told = WEIGHTS | IMAGES if reason == CONSTANT else WEIGHTS
            if any(self.provenance.origin(factor) & told for factor in call.factors):
                self.left_out.product(call.name, weight, reason)
            return output
        product = call.product(place)
        assert product is not None
        name = self._told_apart(self.names.of(weight, call.name), product.filters(weight.detach()))
        _check_finite(name, entered, output)
        if not output.requires_grad:  # frozen parameters: the graph begins here
            output = output.detach().requires_grad_().clone()
        edge = get_gradient_edge(output)
        # What happens in place would move the edge of a view, and a hook on the result would run after its gradient was read.
        output = output.clone()
        use = Use(
            name=name,
            product=product,
            weight=weight.detach(),
            edge=edge,
            output_shape=tuple(output.shape),
            output_bytes=output.numel() * output.element_size(),
            dtype=output.dtype,
            entered=entered.detach().clone() if name == self._kept else None,
        )
        self.uses.append(use)
        apart = not any(self._measured(t) for t in (weight, call.added) if t is not None)
        if call.name == "linear" and entered.ndim <= 2 and apart:
            self._last = use, entered, output, (entered._version, output._version)
        self.provenance.mark(output, PRODUCTS)
        return output

    def _told_apart(self, name: str, filters: Tensor) -> str:
        """Filters that differ have different names, as a weight and its transpose, or several that one module makes."""
        known = self._multiplied.setdefault(name, [])
        place = next((place for place, other in enumerate(known) if alike(filters, other)), len(known))
        known[place:] = known[place:] or [filters]
        return f"{name}:{place + 1}" if place else name

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

    def final(self, outputs: Tensor) -> FinalProduct | None:
        """The last linear product, if the outputs are its very result."""
        if self._last is None:
            return None
        use, entered, output, versions = self._last
        unsqueezed = output.ndim == 1 and outputs._base is output and outputs.shape == (1, *output.shape)
        if (
            not (outputs is output or unsqueezed)
            or outputs._backward_hooks
            or versions != (entered._version, output._version)
        ):
            return None
        alone = sum(other.name == use.name for other in self.uses) == 1
        return FinalProduct(use.name, torch.atleast_2d(entered), use.weight) if alone and use.weight.ndim == 2 else None


def alike(filters: Tensor, others: Tensor) -> bool:
    """Whether they are the same filters, up to rounding, whatever their scale."""
    if filters.shape != others.shape or torch.equal(filters, others):
        return filters.shape == others.shape
    rounding = ROUNDING * torch.finfo(others.dtype).eps * float(others.abs().max())
    return torch.allclose(filters, others, atol=rounding)


def contiguous_gradient(output: Tensor) -> Tensor:
    """Of one image alone, torch's batch norm on a CPU misreads a gradient whose channels come last."""
    if output.requires_grad and output.device.type == "cpu" and len(output) == 1:
        output.register_hook(Tensor.contiguous)
    return output


def _check_finite(name: str, entered: Tensor, output: Tensor) -> None:
    if output.detach().sum(dtype=torch.float64).isfinite():
        return
    if not output.isfinite().all():
        where = "its output" if entered.isfinite().all() else "its input"
        raise InputError(
            f"layer {name!r}: {where} holds NaN or infinity. Check the images' scale, the weights, and half precision."
        )
