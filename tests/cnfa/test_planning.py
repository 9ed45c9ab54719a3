"""What goes through the network at a time fits the budget."""

import torch
from torch import nn

from convrfm import cnfa
from convrfm.cnfa.batches import Batch
from convrfm.cnfa.planning import Plan, plan
from convrfm.cnfa.state import as_found
from convrfm.cnfa.target import Target


def test_an_image_is_weighed_by_what_autograd_keeps_and_what_is_differentiated() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(144, 3))
    with as_found(network):
        found, _ = plan(network, Batch((torch.zeros(1, 2, 8, 8),)), Target(), budget=2**20)
    assert found.deltas == 4 * (4 * 36 + 3)
    assert found.core == 4 * 4**2
    assert found.cores == 4 * (4**2 + 3**2)
    assert found.graph >= 4 * (2 * 64 + 4 * 36)


def test_larger_budgets_take_more_and_the_smallest_takes_one() -> None:
    plans = [Plan(1000, 500, 100, 50, numel=10, budget=budget) for budget in (1, 10**4, 10**5)]
    taken = [each.images_at_a_time(10) for each in plans]
    assert taken[0] == 1
    assert taken == sorted(taken)
    for each, images in zip(plans[1:], taken[1:], strict=True):
        assert images * (each.graph + 2 * each.deltas + 3 * each.core) <= each.budget
    assert plans[2].images_at_a_time(20) < plans[2].images_at_a_time(10)
    assert plans[0].parts(64) == 0
    assert plans[2].parts(64) == 64


def test_without_room_for_parts_there_are_no_intervals() -> None:
    network = nn.Sequential(nn.Conv2d(2, 16, 3), nn.Tanh(), nn.Flatten(), nn.Linear(576, 3))
    images = torch.randn(12, 2, 8, 8)
    assert cnfa.measure(network, images)["0"].correlations.trained.cosine.interval is not None
    assert cnfa.measure(network, images, memory_budget=2**12)["0"].correlations.trained.cosine.interval is None
