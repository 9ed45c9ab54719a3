"""The independent gradient: every product of a network computed from unfolded patches, and differentiated by them.

Patches are gathered into tensors of their own, each product is a plain einsum of them, and autograd gives the gradient of
one output of one image with respect to all patches. Nothing here knows that the AGOP has the form `W^T G W`. An AGOP is
compared through its products with random vectors, so that no large matrix is formed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

OPENED = FunctionType(
    functional.multi_head_attention_forward.__code__,
    {**vars(functional), "has_torch_function": lambda _: False},
    argdefs=functional.multi_head_attention_forward.__defaults__,
)


@dataclass(frozen=True)
class Product:
    """A call: patches `(..., groups, d)` and filters `(groups, rows, d)`."""

    patches: Tensor
    filters: Tensor


class Unfolded(TorchFunctionMode):
    """Convolutions and products with a matrix run from patches, which are kept in the order of the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.products: list[Product] = []

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.multi_head_attention_forward:
            with self:
                return OPENED(*args, **kwargs)
        name = getattr(func, "__name__", "").strip("_")
        if name == "linear":
            return self._linear(*args, **kwargs)
        if name in ("conv1d", "conv2d", "conv3d"):
            return self._convolution(*args, **kwargs)
        if name in ("conv_transpose1d", "conv_transpose2d"):
            return self._transposed(func, *args, **kwargs)
        if name in ("matmul", "addmm") and not kwargs and args[-1].ndim == 2 and args[-2].ndim > 1:
            added = args[0] if name == "addmm" else None
            return self._linear(args[-2], args[-1].T, added)
        return func(*args, **kwargs)

    def _free(self, patches: Tensor, filters: Tensor) -> Tensor:
        if not patches.requires_grad:
            patches = patches.detach().requires_grad_()
        self.products.append(Product(patches, filters.detach()))
        return patches

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        patches = self._free(input.unsqueeze(-2).clone(), weight.unsqueeze(0))
        z = torch.einsum("...d,rd->...r", patches.squeeze(-2), weight)
        return z if bias is None else z + bias

    def _convolution(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        axes = weight.ndim - 2
        sizes, strides, dilations = weight.shape[2:], _each(stride, axes), _each(dilation, axes)
        reaches = [d * (k - 1) + 1 for k, d in zip(sizes, dilations, strict=True)]
        if isinstance(padding, str):
            widths = [(r - 1) * (padding == "same") for r in reaches]
            pairs = [(width // 2, width - width // 2) for width in widths]
        else:
            pairs = [(p, p) for p in _each(padding, axes)]
        windows = functional.pad(input, [width for pair in reversed(pairs) for width in pair])
        for axis, (reach, step) in enumerate(zip(reaches, strides, strict=True)):
            windows = windows.unfold(2 + axis, reach, step)
        dilated: tuple[Any, ...] = (..., *(slice(None, None, d) for d in dilations))
        windows = windows[dilated]
        grid = windows.shape[2 : 2 + axes]
        gathered = windows.movedim(1, 1 + axes).flatten(1, axes).flatten(2).unflatten(2, (groups, -1))
        filters = weight.reshape(groups, len(weight) // groups, -1)
        patches = self._free(gathered.contiguous(), filters)
        z = torch.einsum("npgd,grd->ngrp", patches, filters).flatten(1, 2).unflatten(2, grid)
        return z if bias is None else z + bias.reshape(-1, *(1,) * axes)

    def _transposed(self, function: Any, input: Tensor, weight: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        groups = kwargs.get("groups", args[4] if len(args) > 4 else 1)
        filters = weight.reshape(groups, len(weight) // groups, -1).mT
        grouped = input.unflatten(1, (groups, -1)).movedim((1, 2), (-2, -1))
        patches = self._free(grouped.clone(), filters)
        return function(patches.movedim((-2, -1), (1, 2)).flatten(1, 2), weight, *args, **kwargs)


def _each(value: Any, axes: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * axes if len(values) == 1 else values


def agop_products(network: nn.Module, images: Tensor, head: Callable[[Any], Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Of every call: its filters, and the AGOP of this call times `random_vectors`.

    The sum is over outputs and positions, the mean over images.
    """
    with Unfolded() as run:
        outputs = head(network(images.clone()))
    found = [(p.filters, random_vectors(p.filters), torch.zeros_like(random_vectors(p.filters))) for p in run.products]
    for output in outputs.flatten():
        gradients = torch.autograd.grad(
            output, [product.patches for product in run.products], retain_graph=True, allow_unused=True
        )
        for gradient, (_, v, total) in zip(gradients, found, strict=True):
            if gradient is not None:
                columns = gradient.reshape(-1, *gradient.shape[-2:]).transpose(0, 1)
                total += columns.mT @ (columns @ v) / len(images)
    return [(filters, total) for filters, _, total in found]


def random_vectors(filters: Tensor) -> Tensor:
    """Two for each group, `(groups, d, 2)`: the same for filters of the same shape."""
    groups, _, d = filters.shape
    return torch.randn(groups, d, 2, generator=torch.Generator().manual_seed(1), dtype=filters.dtype)
