"""NumPy in, NumPy out; torch in, torch out; and what images must be."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch

from ..errors import InputError
from ..maths.precision import full_precision

Method = TypeVar("Method", bound=Callable[..., Any])


def accepts_numpy(method: Method) -> Method:
    """Let a method on tensors take NumPy arrays too: its result is then an array if `x`, its first argument, is one.

    The metric and the coefficients follow x's dtype and device; weights follow once their mean is 1.
    """

    @functools.wraps(method)
    def converted(self: Any, x: Any, *args: Any, **keywords: Any) -> Any:
        as_tensor = _tensor(x)
        args = tuple(_follow(value, as_tensor, keeps=i == 0) for i, value in enumerate(args))
        keywords = {name: _follow(value, as_tensor, keeps=name in ("z", "weights")) for name, value in keywords.items()}
        with full_precision():
            result = method(self, as_tensor, *args, **keywords)
        return result.cpu().numpy() if isinstance(x, np.ndarray) else result

    return converted  # type: ignore[return-value]  # `wraps` keeps the signature


def _follow(value: Any, x: Any, *, keeps: bool) -> Any:
    value = _tensor(value)
    if isinstance(value, torch.Tensor) and isinstance(x, torch.Tensor) and not keeps and x.is_floating_point():
        value = value.to(x)
    return value


def _tensor(value: Any) -> Any:
    """Arrays become tensors on the same memory where torch may share it (not with read-only or big-endian arrays)."""
    if not isinstance(value, np.ndarray):
        return value
    if np.ma.is_masked(value):
        raise InputError(f"an array must not be masked; got a masked {value.shape}. Pass its filled(value).")
    native = value.astype(value.dtype.newbyteorder("="), copy=False)
    return torch.from_numpy(np.require(native, requirements=["C", "W"]))


def check_batch(name: str, images: Any, like: Any) -> None:
    """Raise `InputError` unless images are floats `(n, c, h, w)` of the size, type and device of `like`."""
    if not isinstance(images, torch.Tensor):
        raise InputError(f"{name} must be a NumPy array or a torch tensor; got {type(images).__name__}.")
    if images.ndim != 4 or 0 in images.shape:
        raise InputError(
            f"{name} must be (n, channels, height, width), none of them 0; got {tuple(images.shape)}. Images of one channel "
            f"need an axis for it: {name}[:, None]."
        )
    if images.dtype not in (torch.float32, torch.float64):
        raise InputError(f"{name} must be float32 or float64; got {images.dtype}. Convert it first.")
    for what, got, expected in (
        ("channels, height and width", tuple(images.shape[1:]), tuple(like.shape[1:])),
        ("dtype", images.dtype, like.dtype),
        ("device", images.device, like.device),
    ):
        if got != expected:
            raise InputError(f"{name} must have the {what} of x, {expected}; got {got}.")
