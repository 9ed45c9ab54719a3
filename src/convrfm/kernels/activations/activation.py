r"""What a kernel's recursion needs of an activation phi: expectations over Gaussian pairs, and their adjoints.

(a, b) is centered with covariance `[[qx, s], [s, qz]]`. `dual` gives K = E[phi(a) phi(b)] and the *derivative dual*
k0 = E[phi'(a) phi'(b)], which is also dK/ds (Price's theorem). `pullback` takes adjoints of K and k0 to adjoints of s and
qx; qz follows by symmetry.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import InputError

LARGEST_LOSS = 1e-4  # relative, of what cancels

Values = Float[Tensor, "..."]


class Activation(ABC):
    """One activation: phi itself, its dual, and the adjoint of the dual; subclasses are frozen dataclasses.

    Attributes:
        cancels: whether the dual of large variances q is a difference of numbers q times as large as itself.
    """

    cancels: ClassVar[bool] = False

    @abstractmethod
    def phi(self, t: Values) -> Values:
        """The activation, entry by entry."""

    @abstractmethod
    def dual(self, s: Values, qx: Values, qz: Values) -> tuple[Values, Values]:
        """K and k0 at covariance s and variances qx, qz (broadcast against each other)."""

    @abstractmethod
    def pullback(
        self, s: Values, qx: Values, qz: Values, K_bar: Values, k0_bar: Values | None
    ) -> tuple[Values, Values]:
        """Adjoints of s and qx from those of K and k0 (None: zero)."""

    def derivative(self, t: Values) -> Values:
        """phi', entry by entry."""
        _, pulled_back = torch.func.vjp(self.phi, t)
        (slopes,) = pulled_back(torch.ones_like(t))
        return slopes

    def second_derivative(self, t: Values, resolution: Values) -> Values:
        """phi'', entry by entry; a jump of phi' counts as a density as wide as the resolution (broadcast against t).

        Where this is not overridden torch differentiates phi', and tells of no jump.
        """
        _, pulled_back = torch.func.vjp(self.derivative, t)
        (curvatures,) = pulled_back(torch.ones_like(t))
        return curvatures

    def on_diagonal(self, q: Values) -> tuple[Values, Values]:
        """K and k0 at s = qx = qz = q, exactly."""
        return self.dual(q, q, q)

    def diagonal_slope(self, q: Values) -> Values:
        """The derivative of K(q, q, q) with respect to q."""
        s_bar, q_bar = self.pullback(q, q, q, torch.ones_like(q), None)
        return s_bar + 2 * q_bar

    def check_digits(self, q: Values) -> None:
        """Raise `InputError` where so little would be left of variances of this size that values were wrong."""
        if self.cancels and float(q.max()) > (largest := LARGEST_LOSS / torch.finfo(q.dtype).eps):
            raise InputError(
                f"{self} loses its digits in {q.dtype} where patches have mean squares above {largest:.2g}; here they reach "
                f"{float(q.max()):.2g}. Divide the images by a constant, to a mean square of about 1, or pass float64."
            )


def square_of_difference(s: Values, qx: Values, qz: Values) -> Values:
    """E (a - b)^2 = qx + qz - 2 s; what is zero but for rounding is zero, however large the variances are."""
    squares = qx + qz - 2 * s
    return torch.where(squares > 8 * torch.finfo(s.dtype).eps * (qx + qz), squares, 0)
