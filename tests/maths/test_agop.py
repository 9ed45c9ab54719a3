"""The sum of outer products is that of plain loops, for patches of few entries and of many."""

import pytest
import torch

from convrfm.maths.agop import PANEL, sum_of_outer_products


@pytest.mark.parametrize("d", [1, 27, PANEL, PANEL + 1, 3 * PANEL - 5])
def test_it_adds_up_every_gradient_times_its_transpose(d: int) -> None:
    gradients = torch.randn(2, 3, 2, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.zeros(d, d, dtype=torch.float64)
    for g in gradients.reshape(-1, d):
        expected += torch.outer(g, g)
    torch.testing.assert_close(sum_of_outer_products(gradients), expected)
