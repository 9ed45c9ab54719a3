"""The jackknife: bias and standard error of a statistic of a mean, by leaving one part out at a time."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class JackknifeEstimate(NamedTuple):
    """A statistic of s independent parts, corrected.

    Attributes:
        value: the bias-corrected statistic; its bias is O(1/s^2) where the plain one's is O(1/s).
        bias: what was taken off the plain statistic.
        standard_error: of the statistic.
    """

    value: Float[Tensor, "*shape"]
    bias: Float[Tensor, "*shape"]
    standard_error: Float[Tensor, "*shape"]


def leave_one_out_means(parts: Float[Tensor, "s *shape"]) -> Float[Tensor, "s *shape"]:
    """The mean of all parts but one, for each part; s must be at least 2."""
    return (parts.sum(0, keepdim=True) - parts) / (len(parts) - 1)


def jackknife(plain: Float[Tensor, "*shape"], left_out: Float[Tensor, "s *shape"]) -> JackknifeEstimate:
    """Quenouille's bias and Tukey's standard error (Efron and Stein 1981).

    Args:
        plain: the statistic of all s parts.
        left_out: the statistic of all parts but one, for each part.

    >>> import torch
    >>> x = torch.tensor([1.0, 2.0, 4.0])
    >>> estimate = jackknife(x.mean(), leave_one_out_means(x))
    >>> round(float(estimate.bias), 6), round(float(estimate.standard_error - x.std() / 3**0.5), 6)
    (0.0, 0.0)
    """
    s = len(left_out)
    center = left_out.mean(0)
    bias = (s - 1) * (center - plain)
    standard_error = ((s - 1) / s * (left_out - center).square().sum(0)).sqrt()
    return JackknifeEstimate(plain - bias, bias, standard_error)
