"""The independent gradient: every product of a network computed from unfolded patches, and differentiated by them.

Patches are gathered into tensors of their own, each product is a plain einsum of them, and autograd gives the gradient of
one output of one image with respect to all patches. Nothing here knows that the AGOP has the form `W^T G W`. An AGOP is
compared through its products with random vectors, so that no large matrix is formed; a gradient is multiplied as it arrives,
so that no patches and no gradients are kept. Values are those of torch's own kernel: where two that are equal but for
rounding meet in a max pool, the gradient takes the way that it takes in the network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
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
    """A call: filters `(groups, rows, d)`, and sums over gradients g by patches of `g (g^T v)` for vectors v."""

    filters: Tensor
    vectors: Tensor
    total: Tensor

    def add(self, gradient: Tensor) -> None:
        columns = gradient.reshape(-1, *gradient.shape[-2:]).transpose(0, 1)
        self.total.add_(columns.mT @ (columns @ self.vectors))


class Unfolded(TorchFunctionMode):
    """Convolutions and products with a matrix run from patches; calls are kept in their order.

    Attributes:
        products: The calls.
        leaves: Patches that do not depend on the images.
        rounds: Whether something that depends on the images is in float32.
    """

    def __init__(self) -> None:
        super().__init__()
        self.products: list[Product] = []
        self.leaves: list[Tensor] = []
        self.rounds = False

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.multi_head_attention_forward:
            with self:
                return OPENED(*args, **kwargs)
        name = getattr(func, "__name__", "").strip("_")
        if name == "linear":
            return _with_values(self._linear(*args, **kwargs), func(*args, **kwargs))
        if name in ("conv1d", "conv2d", "conv3d"):
            return _with_values(self._convolution(*args, **kwargs), func(*args, **kwargs))
        if name in ("conv_transpose1d", "conv_transpose2d"):
            return self._transposed(func, *args, **kwargs)
        if name in ("matmul", "addmm") and not kwargs and args[-1].ndim == 2 and args[-2].ndim > 1:
            added = args[0] if name == "addmm" else None
            return _with_values(self._linear(args[-2], args[-1].T, added), func(*args, **kwargs))
        if name in ("matmul", "bmm") and args[0].ndim == args[1].ndim == 3 and len(args[0]) == len(args[1]):
            return _with_values(self._einsum("bnd,bdr->bnr", *args), func(*args))
        if name == "einsum" and len(args) == 3 and "->" in args[0] and "." not in args[0]:
            return _with_values(self._einsum(*args), func(*args))
        result = func(*args, **kwargs)
        self.rounds |= isinstance(result, Tensor) and result.requires_grad and result.dtype == torch.float32
        return result

    def _free(self, patches: Tensor, filters: Tensor) -> Tensor:
        if not patches.requires_grad:
            patches = patches.detach().requires_grad_()
            self.leaves.append(patches)
        vectors = random_vectors(filters)
        product = Product(filters.detach(), vectors, torch.zeros_like(vectors))
        patches.register_hook(product.add)
        self.products.append(product)
        return patches

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        patches = self._free(input.unsqueeze(-2).clone(), weight.unsqueeze(0))
        z = torch.einsum("...d,rd->...r", patches.squeeze(-2), weight)
        return z if bias is None else z + bias

    def _einsum(self, equation: str, input: Tensor, weight: Tensor) -> Tensor:
        terms, result = equation.replace(" ", "").split("->")
        of_input, of_weight = terms.split(",")
        groups = [letter for letter in of_weight if letter in of_input and letter in result]
        patch = [letter for letter in of_weight if letter in of_input and letter not in result]
        rows = [letter for letter in of_weight if letter not in of_input]
        positions = [letter for letter in of_input if letter not in of_weight]
        sizes = dict(zip(of_weight, weight.shape, strict=True))
        count, width = (prod(sizes[letter] for letter in letters) for letters in (groups, patch))
        ordered = torch.einsum(f"{of_weight}->{''.join(groups + rows + patch)}", weight)
        filters = ordered.reshape(count, -1, width)
        gathered = torch.einsum(f"{of_input}->{''.join(positions + groups + patch)}", input)
        patches = self._free(gathered.reshape(*gathered.shape[: len(positions)], count, width).clone(), filters)
        z = torch.einsum("...gd,grd->...gr", patches, filters).flatten(-2)
        z = z.unflatten(-1, [sizes[letter] for letter in groups + rows] or [1])
        return torch.einsum(f"{''.join(positions + groups + rows)}->{result}", z if groups + rows else z.squeeze(-1))

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


def _with_values(z: Tensor, values: Tensor) -> Tensor:
    z.data.copy_(values)
    return z


def _each(value: Any, axes: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * axes if len(values) == 1 else values


def agop_products(
    network: nn.Module, arguments: Sequence[Tensor], head: Callable[[Any], Tensor]
) -> tuple[list[tuple[Tensor, Tensor]], bool]:
    """Of every call: its filters, and the AGOP of this call times `random_vectors`. The network is frozen after it.

    The sum is over outputs and positions, the mean over images. The second value is whether the network rounds to float32.
    """
    network.requires_grad_(False)
    images = [argument.clone().requires_grad_() for argument in arguments]
    with Unfolded() as run:
        outputs = head(network(*(image.clone() for image in images)))
    for output in outputs.flatten():
        torch.autograd.grad(output, [*images, *run.leaves], retain_graph=True, allow_unused=True)
    return [(product.filters, product.total / len(images[0])) for product in run.products], run.rounds


def random_vectors(filters: Tensor) -> Tensor:
    """Two for each group, `(groups, d, 2)`: the same for filters of the same shape."""
    groups, _, d = filters.shape
    return torch.randn(groups, d, 2, generator=torch.Generator().manual_seed(1), dtype=filters.dtype)
