"""The random feature of a Gaussian kernel, as `stax.Rbf` of Neural Tangents."""

import math
from dataclasses import dataclass

import torch
from typing_extensions import override

from ...errors import InputError
from ..scales import is_finite
from .activation import Activation, Values, square_of_difference

LARGEST = 1e36  # that float32 holds with room


@dataclass(frozen=True)
class Rbf(Activation):
    """sqrt(2) sin(sqrt(2 gamma) t + pi / 4), whose dual is K = exp(-gamma (qx + qz - 2 s)).

    Args:
        gamma: positive, at most 1e36; the squared frequency, halved.

    Raises:
        InputError: for any other gamma.
    """

    gamma: float = 1.0

    def __post_init__(self) -> None:
        if not is_finite(self.gamma) or not 0 < self.gamma <= LARGEST:
            raise InputError(f"gamma must be positive and at most {LARGEST:g}; got {self.gamma!r}.")

    @override
    def phi(self, t: Values) -> Values:
        return math.sqrt(2) * torch.sin(math.sqrt(2 * self.gamma) * t + math.pi / 4)

    @override
    def dual(self, s: Values, qx: Values, qz: Values) -> tuple[Values, Values]:
        K = torch.exp(-self.gamma * square_of_difference(s, qx, qz))
        return K, 2 * self.gamma * K

    @override
    def pullback(
        self, s: Values, qx: Values, qz: Values, K_bar: Values, k0_bar: Values | None
    ) -> tuple[Values, Values]:
        # Where both coincide, the adjoints of s and qx cancel each other: left out, so that nothing is left of rounding.
        K, k0 = (torch.where(square_of_difference(s, qx, qz) > 0, dual, 0) for dual in self.dual(s, qx, qz))
        by_K = K_bar if k0_bar is None else K_bar + 2 * self.gamma * k0_bar
        return by_K * k0, -self.gamma * by_K * K
