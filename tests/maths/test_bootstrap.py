"""Bootstrap intervals cover as often as they say."""

import torch

from convrfm.maths.bootstrap import correlation_interval, resampling_weights


def test_weights_are_counts_of_draws_with_replacement() -> None:
    weights = resampling_weights(5, 2000, torch.Generator().manual_seed(0))
    assert (weights.sum(1) == 5).all()
    torch.testing.assert_close(weights.mean(0), torch.ones(5, dtype=torch.float64), rtol=0, atol=0.1)
    torch.testing.assert_close(weights.var(0), torch.full((5,), 0.8, dtype=torch.float64), rtol=0.1, atol=0)


def test_intervals_of_a_cosine_of_means_cover_the_truth() -> None:
    """The cosine of a fixed direction with the mean of noisy vectors, which noise biases towards zero."""
    generator = torch.Generator().manual_seed(0)
    direction = torch.zeros(8, dtype=torch.float64)
    direction[0] = 1
    truth = 0.8
    mean = torch.tensor([truth, (1 - truth**2) ** 0.5, 0, 0, 0, 0, 0, 0], dtype=torch.float64)
    covered = 0
    for _ in range(300):
        x = mean + 0.8 * torch.randn(40, 8, generator=generator, dtype=torch.float64)
        resampled = resampling_weights(40, 400, generator) @ x / 40
        replicates = resampled @ direction / resampled.norm(dim=1)
        low, high = correlation_interval(x.mean(0) @ direction / x.mean(0).norm(), replicates, 0.9)
        assert -1 <= low <= high <= 1
        covered += low <= truth <= high
    assert 0.85 <= covered / 300 <= 0.95


def test_a_perfect_correlation_has_a_perfect_interval() -> None:
    low, high = correlation_interval(torch.tensor(1.0).double(), torch.ones(50).double(), 0.95)
    assert min(low, high) > 1 - 1e-12
