"""The jackknife removes the bias and knows the error of a smooth statistic of a mean."""

import torch

from convrfm.maths.jackknife import jackknife, leave_one_out_means


def test_left_out_means_are_plain_loops() -> None:
    parts = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for i, mean in enumerate(leave_one_out_means(parts)):
        rest = [part for j, part in enumerate(parts) if j != i]
        torch.testing.assert_close(mean, sum(rest) / 3)


def test_bias_of_a_squared_mean_is_removed_exactly() -> None:
    """mean(x)^2 has bias var / s; its jackknife is the unbiased estimate mean(x)^2 - sample variance / s."""
    x = torch.randn(9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = jackknife(x.mean().square(), leave_one_out_means(x).square())
    torch.testing.assert_close(found.value, x.mean().square() - x.var() / 9)


def test_parts_of_different_sizes_weigh_as_their_members() -> None:
    """Of groups of alike members, the squared mean's bias is removed as if the members had varied by themselves."""
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor([1.0, 2, 3, 6], dtype=torch.float64)
    means = torch.randn(20000, 4, generator=generator, dtype=torch.float64) / sizes.sqrt() + 1
    plain = (means @ sizes / sizes.sum()).square()
    left_out = torch.stack([(means @ s / s.sum()).square() for s in sizes * (1 - torch.eye(4, dtype=torch.float64))])
    found = jackknife(plain, left_out, sizes)
    assert abs(float(plain.mean()) - 1) > 0.07
    assert abs(float(found.value.mean()) - 1) < 0.01
    torch.testing.assert_close(found.standard_error.square().mean(), found.value.var(), rtol=0.1, atol=0)


def test_standard_error_is_the_spread_over_repetitions() -> None:
    x = torch.randn(4000, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 2
    plain = x.mean(1).log()
    left_out = leave_one_out_means(x.T).log()
    found = jackknife(plain, left_out)
    torch.testing.assert_close(found.standard_error.mean(), plain.std(), rtol=0.05, atol=0)
