"""Functions with an infinite derivative somewhere: torch's gradient there is zero, the midpoint of the one-sided ones."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

Values = Float[Tensor, "..."]


class Root(torch.autograd.Function):
    """The square root; its gradient at 0 is 0."""

    generate_vmap_rule = True

    @staticmethod
    def forward(values: Values) -> Values:
        """The root."""
        return values.sqrt()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        """Keep the root."""
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, gradient: Values) -> Values:
        """g / (2 root)."""
        (roots,) = ctx.saved_tensors
        return torch.where(roots > 0, gradient / (2 * roots), 0)


class Reciprocal(torch.autograd.Function):
    """1 / q; at 0 it is 0, and so is its gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(values: Values) -> Values:
        """The reciprocal."""
        return torch.where(values > 0, 1 / values, 0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        """Keep the reciprocal."""
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, gradient: Values) -> Values:
        """-g / q^2."""
        (reciprocals,) = ctx.saved_tensors
        return -gradient * reciprocals.square()


class AngleAndSine(torch.autograd.Function):
    """The angle of a cosine, and its sine; their gradients are 0 where directions coincide up to rounding."""

    generate_vmap_rule = True

    @staticmethod
    def forward(cosines: Values) -> tuple[Values, Values]:
        """Both."""
        return torch.arccos(cosines), torch.sqrt((1 - cosines) * (1 + cosines))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        """Keep cosine and sine."""
        ctx.save_for_backward(inputs[0], output[1])

    @staticmethod
    def backward(ctx: Any, of_angle: Values, of_sine: Values) -> Values:
        """-(g_angle + g_sine cosine) / sine."""
        cosines, sines = ctx.saved_tensors
        apart = sines.square() > 8 * torch.finfo(sines.dtype).eps
        return torch.where(apart, -(of_angle + of_sine * cosines) / sines, 0)


def root(values: Values) -> Values:
    """The square root of what is not negative."""
    if not values.requires_grad and unpack_dual(values).tangent is None:
        return values.sqrt()  # a function with a gradient of its own costs as much as the roots of a tile
    roots: Values = Root.apply(values)
    return roots


def reciprocal(values: Values) -> Values:
    """1 / q, and 0 at 0, of what is not negative."""
    reciprocals: Values = Reciprocal.apply(values)
    return reciprocals


def angle_and_sine(cosines: Values) -> tuple[Values, Values]:
    """The angle in [0, pi] of a cosine, and its sine."""
    angle, sine = AngleAndSine.apply(cosines)
    return angle, sine
