"""NumPy in, NumPy out; torch in, torch out; and what images must be."""

import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np
import torch

from ..errors import InputError
from ..maths.dense import check_dense, from_array
from ..maths.precision import full_precision

Method = TypeVar("Method", bound=Callable[..., Any])
Array = np.ndarray | torch.Tensor
# Small feature maps, such as (n, 64, 3, 3), have more channels than rows, and pictures more rows than colors.
MOST_COLORS = 4
FOLLOWING = {"coef", "dual_coef", "feature_matrix"}
ARRAYS = FOLLOWING | {"z", "weights"}

_settled: ContextVar[bool] = ContextVar("settled", default=False)


@contextmanager
def settled_layout() -> Iterator[None]:
    """Within it images have their channels first for sure: that was settled where they came in, and is not asked again."""
    token = _settled.set(True)
    try:
        yield
    finally:
        _settled.reset(token)


def accepts_numpy(method: Method) -> Method:
    """Let a method on tensors take NumPy arrays too: its result is then an array if `x`, its first argument, is one.

    The metric and the coefficients follow x's dtype and device; weights follow once their mean is 1. On a GPU it runs on that
    of x, whichever is the current one.
    """
    signature = inspect.signature(method)

    @functools.wraps(method)
    def converted(self: Any, x: Any, *args: Any, **keywords: Any) -> Any:
        given = signature.bind(self, x, *args, **keywords)
        tensor = given.arguments["x"] = as_tensor("x", x)
        for name in ARRAYS & given.arguments.keys():
            value, optional = given.arguments[name], signature.parameters[name].default is None
            if value is not None or not optional:
                given.arguments[name] = _follow(name, value, tensor)
        with full_precision(), torch.cuda.device_of(tensor):
            result = method(*given.args, **given.kwargs)
        if not isinstance(x, np.ndarray):
            return result
        if result.requires_grad:
            raise InputError("x must be a torch tensor where another argument requires a gradient; got a NumPy array.")
        return result.cpu().numpy()

    return converted  # type: ignore[return-value]  # `wraps` keeps the signature


def _follow(name: str, value: Any, x: torch.Tensor) -> torch.Tensor:
    tensor = as_tensor(name, value)
    if name not in FOLLOWING or not x.is_floating_point():
        return tensor
    followed = tensor.to(x)
    if followed.dtype != tensor.dtype and tensor.any() and not followed.any():
        raise InputError(
            f"{name} has values up to {float(tensor.abs().max()):.2g}, of which x in {x.dtype} makes zeros. Multiply them by a "
            "constant, or pass x in float64."
        )
    return followed


def as_tensor(name: str, value: Any) -> torch.Tensor:
    """Arrays become tensors, on the same memory where torch may share it; raises `InputError` for what is no array."""
    if not isinstance(value, np.ndarray | torch.Tensor):
        raise InputError(f"{name} must be a NumPy array or a torch tensor; got {type(value).__name__}.")
    if isinstance(value, torch.Tensor):
        check_dense(name, value)
    tensor = value if isinstance(value, torch.Tensor) else from_array(name, value)
    if tensor.is_complex():
        raise InputError(f"{name} must be real; got {tensor.dtype}. Pass {name}.real.")
    return tensor


def check_batch(name: str, images: torch.Tensor, like: torch.Tensor) -> None:
    """Raise `InputError` unless images are floats `(n, c, h, w)` of the size, type and device of `like`."""
    if images.ndim != 4 or 0 in images.shape:
        raise InputError(
            f"{name} must be (n, channels, height, width), none of them 0; got {tuple(images.shape)}. Images of one channel "
            f"need an axis for it: {name}[:, None]."
        )
    _, channels, height, width = images.shape
    asked = images is like and not _settled.get()  # of x alone: z is of its shape
    if asked and width < height == channels > MOST_COLORS:
        warnings.warn(
            f"{name} of shape {tuple(images.shape)} is taken for images of {channels} channels and {height} x {width} pixels. "
            f"If their channels are last, pass np.moveaxis({name}, -1, 1).",
            stacklevel=5,
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
