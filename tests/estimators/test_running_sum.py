"""A running sum has the bits of a plain loop, whenever its terms arrive."""

from itertools import permutations

import pytest
import torch

from convrfm.estimators.solving.running_sum import RunningSum

TERMS = torch.randn(5, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 10.0 ** torch.arange(
    5
).reshape(5, 1, 1)


def zero() -> torch.Tensor:
    return torch.zeros(3, 3, dtype=torch.float64)


@pytest.mark.parametrize("interrupted", [False, True])
def test_in_any_order_it_is_the_loop_s_sum(interrupted: bool) -> None:
    looped = zero()
    for term in TERMS:
        looped += term
    for order in permutations(range(5)):
        running = RunningSum(zero())
        for came, number in enumerate(order, 1):
            running.add(number, TERMS[number])
            if interrupted:
                running = RunningSum.from_tensors({name: each.clone() for name, each in running.tensors().items()})
            assert running.missing(5) == sorted(order[came:])
        assert torch.equal(running.total, looped)


def test_only_terms_that_came_before_their_turn_are_held() -> None:
    running, held = RunningSum(zero()), []
    for number in (2, 0, 1, 3, 4):
        running.add(number, TERMS[number])
        held.append(sorted(running.early))
    assert held == [[2], [2], [], [], []]
