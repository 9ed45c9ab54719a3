"""The bootstrap over exchangeable parts (images, or blocks of images), for correlations."""

import math
from statistics import NormalDist

import torch
from jaxtyping import Float
from torch import Tensor


def resampling_weights(n_parts: int, n_draws: int, generator: torch.Generator) -> Float[Tensor, "n_draws n_parts"]:
    """How often each part is drawn when n_parts are drawn with replacement: float64 counts that sum to n_parts."""
    drawn = torch.randint(n_parts, (n_draws, n_parts), generator=generator, device=generator.device)
    counts = torch.zeros(n_draws, n_parts, dtype=torch.float64, device=generator.device)
    return counts.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64)).cpu()


def correlation_interval(
    plain: Float[Tensor, ""], replicates: Float[Tensor, " n_draws"], level: float
) -> tuple[float, float]:
    """Normal bootstrap interval of a correlation, corrected for bias and clipped to [-1, 1].

    A correlation of averages of few noisy parts is biased towards zero, and resampling shows by how much: the interval
    is centered at the estimate less that bias (Davison and Hinkley 1997, Section 5.2.1). On simulated averages of 40 to
    100 parts it covered nearer to its level than percentile, basic and Fisher-scaled intervals. Where noise outweighs
    signal in the average itself, no resampling can tell, and it covers less.

    Args:
        plain: The correlation of the data as they are.
        replicates: The correlation of each resample, at least two.
        level: Coverage, such as 0.95.

    Returns:
        The lower and the upper end; `nan` where the correlation is.
    """
    center = float(2 * plain - replicates.mean())
    reach = NormalDist().inv_cdf((1 + level) / 2) * float(replicates.std())
    return clipped(center - reach), clipped(center + reach)


def clipped(correlation: float) -> float:
    """To [-1, 1]."""
    return correlation if math.isnan(correlation) else min(1.0, max(-1.0, correlation))
