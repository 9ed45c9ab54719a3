"""Halves of symmetric products and their mirror images are the whole products."""

import pytest
import torch

from convrfm.maths.symmetric import BAND, add_upper, mirrored, symmetric_product


@pytest.mark.parametrize("rows", [1, 7, BAND, 2 * BAND, 2 * BAND + 5])
def test_half_a_product_and_its_mirror_image_are_the_product(rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(2, rows, m, generator=generator, dtype=torch.float64) for m in (3, 4))
    torch.testing.assert_close(symmetric_product(first), first @ first.mT)
    metric = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    turned = first @ (metric @ metric.T)
    between = symmetric_product(first, turned)
    torch.testing.assert_close(between, first @ turned.mT)
    torch.testing.assert_close(between, between.mT, rtol=0, atol=0)
    total = torch.zeros(2, rows, rows, dtype=torch.float64)
    for columns in (first, second):
        add_upper(total, columns)
    torch.testing.assert_close(mirrored(total), first @ first.mT + second @ second.mT)
    torch.testing.assert_close(total, total.mT, rtol=0, atol=0)
