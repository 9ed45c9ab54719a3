"""The random feature of a Gaussian kernel, as `stax.Rbf` of Neural Tangents."""

import math
from dataclasses import dataclass

import torch
from typing_extensions import override

from ...errors import InputError
from .activation import Activation, Values


@dataclass(frozen=True)
class Rbf(Activation):
    """sqrt(2) sin(sqrt(2 gamma) t + pi / 4), whose dual is K = exp(-gamma (qx + qz - 2 s)).

    Args:
        gamma: positive; the squared frequency, halved.

    Raises:
        InputError: if gamma is not positive.
    """

    gamma: float = 1.0

    def __post_init__(self) -> None:
        if not self.gamma > 0:
            raise InputError(f"gamma must be positive; got {self.gamma!r}.")

    @override
    def phi(self, t: Values) -> Values:
        return math.sqrt(2) * torch.sin(math.sqrt(2 * self.gamma) * t + math.pi / 4)

    @override
    def dual(self, s: Values, qx: Values, qz: Values) -> tuple[Values, Values]:
        K = torch.exp(-self.gamma * (qx + qz - 2 * s))
        return K, 2 * self.gamma * K

    @override
    def pullback(
        self, s: Values, qx: Values, qz: Values, K_bar: Values, k0_bar: Values | None
    ) -> tuple[Values, Values]:
        K, k0 = self.dual(s, qx, qz)
        by_K = K_bar if k0_bar is None else K_bar + 2 * self.gamma * k0_bar
        return by_K * k0, -self.gamma * by_K * K
