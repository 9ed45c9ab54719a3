"""Activations that the cpu engine serves: the same formulas on `Lanes`, with each image's share made beforehand.

What an activation needs of one image's variance q is two numbers per position, its *norm* and its *inverse root*, so
that no pair divides by anything on the way forward:

    activation          norm        inverse root
    piecewise linear    sqrt(q)     1 / sqrt(q), 0 for a zero patch
    Erf                 1 + 2 q     1 / sqrt(1 + 2 q)
    GELU                q           1 / sqrt(1 + q)
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor

from .activation import Activation

Variances = Float[Tensor, "n rows cols"]


class Meeting(NamedTuple):
    """A covariance of sixteen pairs at a position, and what it meets there.

    Attributes:
        s: the covariance.
        x_norm, x_inverse: x's norm and inverse root.
        z_norm, z_inverse: those of the sixteen z.
        first, second: the activation's `constants`.
    """

    s: Any
    x_norm: Any
    x_inverse: Any
    z_norm: Any
    z_inverse: Any
    first: Any
    second: Any


@dataclass(frozen=True)
class LaneFormulas:
    """What compiled code calls, both `inlined`.

    Attributes:
        dual: from a `Meeting` to K and k0.
        pullback: from a `Meeting`, the adjoints of K and k0, and the square of the sine below which two patches count as
            coinciding, to k0 and the adjoints of s and qx.
    """

    dual: Any
    pullback: Any


class LaneActivation(Activation):
    """An activation with compiled formulas."""

    formulas: ClassVar[LaneFormulas]

    @property
    def constants(self) -> tuple[float, float]:
        """Two numbers for the formulas."""
        return 0.0, 0.0

    @abstractmethod
    def norm_and_inverse_root(self, q: Variances) -> tuple[Variances, Variances]:
        """One image's norms and inverse roots, at every position."""
