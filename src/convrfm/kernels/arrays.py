"""NumPy in, NumPy out; torch in, torch out."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch

Method = TypeVar("Method", bound=Callable[..., Any])


def accepts_numpy(method: Method) -> Method:
    """Let a method on tensors take NumPy arrays too: its result is then an array if `x`, its first argument, is one.

    The metric and the coefficients follow x's dtype and device.
    """

    @functools.wraps(method)
    def converted(self: Any, x: Any, *args: Any, **keywords: Any) -> Any:
        as_tensor = _tensor(x)
        args = tuple(_follow(value, as_tensor, is_image=i == 0) for i, value in enumerate(args))
        keywords = {name: _follow(value, as_tensor, is_image=name == "z") for name, value in keywords.items()}
        result = method(self, as_tensor, *args, **keywords)
        return result.cpu().numpy() if isinstance(x, np.ndarray) else result

    return converted  # type: ignore[return-value]


def _follow(value: Any, x: Any, *, is_image: bool) -> Any:
    value = _tensor(value)
    if isinstance(value, torch.Tensor) and isinstance(x, torch.Tensor) and not is_image and x.is_floating_point():
        value = value.to(x)
    return value


def _tensor(value: Any) -> Any:
    """Arrays become tensors on the same memory where torch may share it (not with read-only arrays)."""
    if not isinstance(value, np.ndarray):
        return value
    return torch.from_numpy(np.require(value, requirements=["C", "W"]))
