"""The bootstrap over exchangeable parts (images, or blocks of images), for correlations."""

import torch
from jaxtyping import Float
from torch import Tensor


def resampling_weights(
    n_parts: int, n_draws: int, generator: torch.Generator
) -> Float[Tensor, "n_draws n_parts"]:
    """How often each part is drawn when n_parts are drawn with replacement: float64 counts that sum to n_parts."""
    drawn = torch.randint(n_parts, (n_draws, n_parts), generator=generator, device=generator.device)
    counts = torch.zeros(n_draws, n_parts, dtype=torch.float64, device=generator.device)
    return counts.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64)).cpu()


def correlation_interval(
    plain: Float[Tensor, ""], replicates: Float[Tensor, " n_draws"], level: float
) -> tuple[float, float]:
    """Basic (reversed percentile) bootstrap interval of a correlation, on Fisher's scale `artanh`.

    Resampling biases a correlation of noisy averages towards zero; the basic interval takes the bias that the
    replicates show off the estimate, and Fisher's scale keeps its ends within [-1, 1] (Davison and Hinkley 1997, 5.2).

    Args:
        plain: the correlation of the data as they are.
        replicates: the correlation of each resample.
        level: coverage, such as 0.95.

    Returns:
        The lower and the upper end; `nan` where the correlation is.
    """
    edge = 1 - torch.finfo(torch.float64).eps
    centre = plain.double().clamp(-edge, edge).atanh()
    tails = torch.tensor([(1 + level) / 2, (1 - level) / 2], dtype=torch.float64)
    low, high = (2 * centre - replicates.double().clamp(-edge, edge).atanh().quantile(tails)).tanh().tolist()
    return low, high
