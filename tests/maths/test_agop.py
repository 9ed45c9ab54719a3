"""Sums of outer products are those of plain loops, for patches of few entries and of many."""

import pytest
import torch

from convrfm.maths.agop import own_share, partners_share, sum_of_outer_products
from convrfm.maths.symmetric import BAND


@pytest.mark.parametrize("d", [1, 27, BAND, BAND + 1, 3 * BAND - 5])
def test_it_adds_up_every_gradient_times_its_transpose(d: int) -> None:
    gradients = torch.randn(2, 3, 2, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.zeros(d, d, dtype=torch.float64)
    for g in gradients.reshape(-1, d):
        expected += torch.outer(g, g)
    torch.testing.assert_close(sum_of_outer_products(gradients), expected)


@pytest.mark.parametrize("d", [1, 27, BAND + 1])
def test_the_gradients_that_were_never_made_add_up_to_the_same(d: int) -> None:
    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    generator = torch.Generator().manual_seed(0)
    adjoints, partners, coef = normal(2, 3, 5), normal(2, 5, d), normal(5, 4)
    own, patches = normal(2, 3, 4), normal(2, 3, d)
    without, expected = torch.zeros(2, d, d, dtype=torch.float64)
    for u in range(2):
        for x in range(3):
            for o in range(4):
                g = sum(coef[i, o] * adjoints[u, x, i] * partners[u, i] for i in range(5))
                without += torch.outer(g, g)
                g = g + own[u, x, o] * patches[u, x]
                expected += torch.outer(g, g)
    by_partners = partners_share(adjoints, partners, coef @ coef.T)
    torch.testing.assert_close(by_partners, without)
    torch.testing.assert_close(by_partners + own_share(own, patches, adjoints, partners, coef), expected)
