"""The independent route for any network: one call's patches become leaves, each output of each image is differentiated.

A network runs in plain torch; the call of a product that is asked for is computed from patches that are gathered first,
by indexing, and are variables of their own. Nothing here knows that the AGOP has the form `W^T G W`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

PRODUCTS = (
    *("conv1d", "conv2d", "conv_transpose2d", "linear", "matmul", "bmm", "addmm", "dot", "einsum", "tensordot"),
    "linalg_vecdot",
)


class FreePatches(TorchFunctionMode):
    """The call of this number takes leaves in the place of its patches, `(..., d)`; `axes` of its input are a patch."""

    def __init__(self, call: int, factor: int, axes: Sequence[int]) -> None:
        super().__init__()
        self.call, self.factor, self.axes, self.seen = call, factor, axes, -1
        self.leaves: Tensor

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.multi_head_attention_forward:
            opened = type(self.__init__.__func__)(
                func.__code__, {**vars(functional), "has_torch_function": lambda _: False}, argdefs=func.__defaults__
            )
            with self:
                return opened(*args, **(kwargs or {}))
        name = func.__name__.strip("_")
        if name not in PRODUCTS:
            return func(*args, **(kwargs or {}))
        self.seen += 1
        if self.seen != self.call:
            return func(*args, **(kwargs or {}))
        args = [*args, *([kwargs.pop("input")] if kwargs and "input" in kwargs else [])]
        if name in ("conv1d", "conv2d"):
            return self.convolved(*args, **(kwargs or {}))
        place = self.factor + (name in ("addmm", "einsum"))
        x = args[place].detach()
        self.leaves = x.movedim(tuple(self.axes), tuple(range(-len(self.axes), 0))).clone().requires_grad_()
        args[place] = self.leaves.movedim(tuple(range(-len(self.axes), 0)), tuple(self.axes))
        self.leaves.width = len(self.axes)  # type: ignore[attr-defined]
        return func(*args, **(kwargs or {}))

    def convolved(
        self,
        x: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: Any = 1,
    ) -> Any:
        two = x.ndim - 2 if weight.ndim == x.ndim else x.ndim - 1
        batched = x if weight.ndim == x.ndim else x[None]
        if two == 1:
            batched, weight = batched.unsqueeze(-2), weight.unsqueeze(-2)
            stride, padding, dilation = (
                (default, int(v[0] if isinstance(v, tuple) else v))
                for default, v in ((1, stride), (0, padding), (1, dilation))
            )
        shape = functional.conv2d(batched, weight, None, stride, padding, dilation, groups).shape
        gathered = functional.unfold(batched.detach(), weight.shape[2:], dilation, padding, stride)
        self.leaves = gathered.mT.unflatten(-1, (groups, -1)).clone().requires_grad_()
        self.leaves.width = 2  # type: ignore[attr-defined]
        z = torch.cat([self.leaves[:, :, g] @ w.flatten(1).T for g, w in enumerate(weight.chunk(groups))], -1)
        z = z if bias is None else z + bias
        z = z.mT.reshape(shape)
        z = z.squeeze(-2) if two == 1 else z
        return z if weight.ndim - (two == 1) == x.ndim else z[0]


def free_agop(
    network: nn.Module, images: Tensor, calls: Sequence[int], factor: int = 0, axes: Sequence[int] = (-1,)
) -> Tensor:
    """The `(d, d)` patch-AGOP of the calls of these numbers: sum over outputs and positions, mean over images."""
    agop: Tensor | float = 0.0
    for call in calls:
        with FreePatches(call, factor, axes) as free:
            outputs = network(images.clone())
        for output in outputs.flatten():
            (gradient,) = torch.autograd.grad(output, free.leaves, retain_graph=True, allow_unused=True)
            if gradient is not None:
                flat = gradient.flatten(-free.leaves.width)
                flat = flat.reshape(-1, flat.shape[-1])
                agop = agop + flat.T @ flat
    return torch.as_tensor(agop) / len(images)
