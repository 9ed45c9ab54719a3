r"""What a kernel's recursion needs of an activation phi: expectations over Gaussian pairs, and their adjoints.

(a, b) is centered with covariance `[[qx, s], [s, qz]]`. `dual` gives K = E[phi(a) phi(b)] and the *derivative dual*
k0 = E[phi'(a) phi'(b)], which is also dK/ds (Price's theorem). `pullback` takes adjoints of K and k0 to adjoints of s and
qx; qz follows by symmetry.
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

Values = Float[Tensor, "..."]


class Activation(ABC):
    """One activation: phi itself, its dual, and the adjoint of the dual; subclasses are frozen dataclasses."""

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

    def on_diagonal(self, q: Values) -> tuple[Values, Values]:
        """K and k0 at s = qx = qz = q, exactly."""
        return self.dual(q, q, q)

    def diagonal_slope(self, q: Values) -> Values:
        """The derivative of K(q, q, q) with respect to q."""
        s_bar, q_bar = self.pullback(q, q, q, torch.ones_like(q), None)
        return s_bar + 2 * q_bar
