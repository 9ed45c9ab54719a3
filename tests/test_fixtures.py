"""What every test finds when it begins."""

import random

import pytest
import torch


@pytest.mark.parametrize("time", ["first", "second"])
def test_libraries_draw_the_same_random_numbers_in_every_test(time: str) -> None:
    expected = torch.rand(3, generator=torch.Generator().manual_seed(0)), random.Random(0).random()
    assert torch.equal(torch.rand(3), expected[0])
    assert random.random() == expected[1]
