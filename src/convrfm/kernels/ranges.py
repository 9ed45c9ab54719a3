"""Numbers that a kernel's arithmetic can hold: checked as they come in and as they go out, without a copy."""

import math

import torch
from torch import Tensor

from ..errors import InputError

ROOM = 2.0**10  # for what a kernel makes of squares: their sums over layers, their multiples


def largest_size(values: Tensor) -> float:
    """The largest absolute value, or NaN where there is one."""
    low, high = torch.aminmax(values.detach())
    return max(-float(low), float(high))


def check_squares(name: str, images: Tensor, metric_trace: float) -> None:
    """Raise `InputError` unless images are finite, and squares of patches under the metric neither overflow nor vanish."""
    largest, numbers = largest_size(images), torch.finfo(images.dtype)
    if not math.isfinite(largest):
        raise InputError(f"{name} must be finite; it holds NaN or infinity. Remove or repair these images.")
    highest = largest * largest * images[0].numel() * max(1.0, metric_trace) * ROOM
    lowest = largest * largest * min(1.0, metric_trace or 1.0)
    if largest and (lowest < numbers.tiny or highest > numbers.max):
        raise InputError(
            f"{name} has values up to {largest:.2g}: their squares, under a metric of trace {metric_trace:.2g}, are beyond the "
            f"range of {_name(images)}. Divide the images by a constant, so that their mean square is about 1, or "
            "scale the metric."
        )


def finite(what: str, result: Tensor, images: Tensor) -> Tensor:
    """A result that is finite; raises `InputError` for any other."""
    if not math.isfinite(largest_size(result)):
        raise InputError(
            f"{what} of these images, with values up to {largest_size(images):.2g}, is not finite in {_name(images)}. Divide "
            "the images by a constant, so that their mean square is about 1, or pass float64."
        )
    return result


def check_coefficients(name: str, coef: Tensor) -> None:
    """Raise `InputError` where squares of gradients of sums with these coefficients overflow or vanish."""
    largest, numbers = largest_size(coef), torch.finfo(coef.dtype)
    if largest and not numbers.tiny * ROOM <= largest * largest <= numbers.max / ROOM:
        raise InputError(
            f"{name} has values up to {largest:.2g}: the squares of their gradients are beyond the range of {_name(coef)}. "
            "Multiply them by a constant, or pass images of float64."
        )


def _name(images: Tensor) -> str:
    return str(images.dtype).removeprefix("torch.")
