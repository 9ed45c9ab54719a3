"""What a ridge regression gives for every ridge, whichever way it is solved."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Path(Protocol):
    """The regression of k targets of n images on functions f_j, sum_i w_i (y_i - m - f(x_i))^2 + ridge |f|^2, by ridge.

    Attributes:
        intercept: m, `(k,)`; None for none.
        estimated: whether leave-one-out is an estimate, which squared errors bear and accuracies do not.
    """

    intercept: Float[Tensor, " k"] | None
    estimated: bool

    def coefs(self, ridges: Sequence[float]) -> list[Float[Tensor, "j k"]]:
        """For every ridge, the coefficients of the functions."""

    def fitted(self, ridge: float) -> Float[Tensor, "n k"]:
        """Predictions on the training images."""

    def leave_one_out(self, ridges: Sequence[float]) -> list[Float[Tensor, "n k"]]:
        """For every ridge and training image, the prediction of the fit to all others, or to all other groups."""

    def amplitude(self, ridge: float) -> Float[Tensor, " k"]:
        """The variance of every output as a Gaussian process, by the left-out residuals."""
