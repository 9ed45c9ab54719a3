"""The jackknife: bias and standard error of a statistic of a mean, by leaving one part out at a time."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from .bootstrap import clipped


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


def jackknife(
    plain: Float[Tensor, "*shape"], left_out: Float[Tensor, "s *shape"], sizes: Float[Tensor, " s"] | None = None
) -> JackknifeEstimate:
    """Quenouille's bias and Tukey's standard error (Efron and Stein 1981), of parts of any sizes (Busing et al. 1999).

    With h the size of everything over that of a part, a part's pseudo-value is `h plain - (h - 1) left_out`, and

        value = s plain - sum of (1 - 1/h) left_out,    standard error^2 = mean of (pseudo-value - value)^2 / (h - 1).

    Args:
        plain: the statistic of all s parts.
        left_out: the statistic of all parts but one, for each part.
        sizes: of the parts; None for equal ones.

    >>> import torch
    >>> x = torch.tensor([1.0, 2.0, 4.0])
    >>> estimate = jackknife(x.mean(), leave_one_out_means(x))
    >>> round(float(estimate.bias), 6), round(float(estimate.standard_error - x.std() / 3**0.5), 6)
    (0.0, 0.0)
    """
    sizes = torch.ones(len(left_out), dtype=plain.dtype) if sizes is None else sizes
    h = (sizes.sum() / sizes).reshape(-1, *(1,) * plain.ndim)
    bias = ((1 - 1 / h) * (left_out - plain)).sum(0)
    pseudo_values = h * plain - (h - 1) * left_out
    standard_error = ((pseudo_values - (plain - bias)).square() / (h - 1)).mean(0).sqrt()
    return JackknifeEstimate(plain - bias, bias, standard_error)


def student_interval(estimate: JackknifeEstimate, s: int, level: float) -> tuple[float, float]:
    """Interval of a correlation from s parts, clipped to [-1, 1]; `nan` where the correlation is."""
    reach = float(stats.t.ppf((1 + level) / 2, s - 1) * estimate.standard_error)
    return clipped(float(estimate.value) - reach), clipped(float(estimate.value) + reach)
