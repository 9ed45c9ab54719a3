"""What goes through the network at a time fits the budget."""

import gc
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from convrfm import cnfa
from convrfm.cnfa.batches import Batch
from convrfm.cnfa.cutting import Cut
from convrfm.cnfa.planning import Plan, plan
from convrfm.cnfa.state import as_found
from convrfm.cnfa.target import Target

from .allocations import Allocations


def test_an_image_is_weighed_by_what_autograd_keeps_and_what_is_differentiated() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(144, 3))
    with as_found(network):
        found, _ = plan(network, Batch((torch.zeros(1, 2, 8, 8),)), Target(), Cut(), budget=2**20)
    assert found.deltas == 4 * (4 * 36 + 3)
    assert found.core == 4 * 4**2
    assert found.cores == 4 * (4**2 + 3**2)
    assert found.graph >= 4 * (2 * 64 + 4 * 36)


@pytest.mark.parametrize("options", [{}, {"whole": True}, {"blocks": {"0": 3}}], ids=["one a group", "whole", "blocks"])
def test_cores_are_weighed_as_they_are_cut(options: dict) -> None:
    network = nn.Sequential(nn.Conv2d(4, 24, 3, groups=4), nn.Tanh(), nn.Conv2d(24, 6, 1), nn.Flatten())
    image = torch.randn(1, 4, 6, 6)
    with as_found(network):
        found, _ = plan(network, Batch((image,)), Target(), Cut(**options), budget=2**20)
    report = cnfa.measure(network, image, rotations=0, resamples=0, **options)
    cores = [len(layer.filters) * min(layer.filters.shape[1:]) ** 2 for layer in report.layers]
    assert (found.core, found.cores) == (4 * max(cores), 4 * sum(cores))


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


def convolutional() -> nn.Module:
    layers = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 14**2, 10))


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.last = nn.Conv2d(3, 64, 4, stride=4), nn.Linear(64, 10)
        self.blocks = nn.Sequential(*(nn.TransformerEncoderLayer(64, 4, 128, batch_first=True) for _ in range(2)))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.blocks(self.patches(x).flatten(2).mT).mean(1))


def wide() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3072, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )


@pytest.fixture
def nothing_is_collected() -> Iterator[None]:
    """What waits for the garbage collector takes memory until it comes."""
    gc.disable()
    yield
    gc.enable()


BUDGETS = [(convolutional, 2**23), (convolutional, 2**25), (Transformer, 2**23), (Transformer, 2**25), (wide, 2**26)]
CONTROLS = [{}, {"probes": 4}, {"rotations": 0, "resamples": 0, "half_power": False}]


@pytest.mark.usefixtures("nothing_is_collected")
@pytest.mark.parametrize("options", CONTROLS, ids=["exact", "probed", "without controls"])
@pytest.mark.parametrize(("build", "budget"), BUDGETS)
def test_beside_weights_and_report_a_measurement_stays_within_its_budget(
    build: Callable[[], nn.Module], budget: int, options: dict
) -> None:
    torch.manual_seed(0)
    network, images = build().eval(), torch.randn(64 if build is wide else 12, 3, 32, 32)
    with Allocations([*network.parameters(), images]) as allocations:
        report = cnfa.measure(network, images, memory_budget=budget, **options)
    weights = sum(parameter.nbytes for parameter in network.parameters())
    kept = sum(layer.filters.nbytes + layer.covariance.nbytes for layer in report.layers)
    summed = sum(8 * layer.covariance.numel() for layer in report.layers)
    assert allocations.peak <= budget + weights + kept + summed
    gc.collect()
    assert allocations.now == kept
