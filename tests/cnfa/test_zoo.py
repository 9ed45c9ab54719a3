"""Of every odd network the meter measures what differentiating by free patches gives, and says what it left out."""

import contextlib
import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from convrfm import cnfa

from .free_patches import free_agop
from .zoo import TOYS, Layer, Toy

pytestmark = [
    pytest.mark.filterwarnings("ignore:the images are not independent"),
    pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated"),
]
QUICK = {"rotations": 0, "resamples": 0}


@pytest.fixture(params=TOYS, ids=lambda toy: toy.name)
def toy(request: pytest.FixtureRequest) -> Toy:
    return request.param


def blocks(agop: Tensor, groups: int) -> Tensor:
    if groups == 1:
        return agop
    d = len(agop) // groups
    return torch.stack([agop[g * d : (g + 1) * d, g * d : (g + 1) * d] for g in range(groups)])


def expected(toy: Toy, images: Tensor, layer: Layer) -> Tensor:
    agop = free_agop(toy.plain_network(), images, layer.calls, layer.factor, layer.axes)
    return blocks(agop, layer.groups)


def assert_measured(report: cnfa.Report, toy: Toy, agops: dict[str, Tensor]) -> None:
    assert {layer.name for layer in report.layers} == set(toy.layers)
    for name, agop in agops.items():
        torch.testing.assert_close(report[name].agop, agop, rtol=1e-9, atol=1e-9 * float(agop.abs().max()))


def test_every_layer_is_that_of_free_patches_or_is_named(toy: Toy) -> None:
    images = toy.images()
    agops = {name: expected(toy, images, layer) for name, layer in toy.layers.items()}
    for budget in (1, 2**13, 2**30):
        report = cnfa.measure(toy.network(), images.clone(), memory_budget=budget, **QUICK)
        assert_measured(report, toy, agops)
        assert {skipped.name for skipped in report.skipped} == set(toy.skipped)
        for skipped in report.skipped:
            assert toy.skipped[skipped.name] in skipped.reason


def test_batches_change_nothing(toy: Toy) -> None:
    if not toy.independent:
        pytest.skip("what is measured depends on the batch")
    images, options = toy.images(), {"rotations": 0, "resamples": 20, "half_power": False}
    whole = cnfa.measure(toy.network(), images, **options)
    for sizes in ([1, 1, 2], [3, 1]):
        report = cnfa.measure(toy.network(), images.split(sizes), **options)
        assert_measured(report, toy, {layer.name: layer.agop for layer in whole.layers})
        for layer in report.layers:
            for measure in ("cosine", "pearson"):
                found, expected = (getattr(of.correlations.trained, measure) for of in (layer, whole[layer.name]))
                assert found.interval == pytest.approx(expected.interval, abs=1e-7, nan_ok=True)


def test_a_layer_alone_is_what_it_is_among_all(toy: Toy) -> None:
    images = toy.images()
    every = cnfa.measure(toy.network(), images, **QUICK)
    for name in toy.layers:
        alone = cnfa.patch_agop(toy.network(), images, name)
        torch.testing.assert_close(alone, every[name].agop)


class ExitOfWholeBatches(nn.Module):
    """The last layer runs unless all images of a batch are sure."""

    def __init__(self, decide: Callable[[Tensor], bool]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.decide, self.a, self.b, self.c = decide, nn.Linear(3, 3), nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        features = torch.tanh(self.a(x))
        return torch.sin(self.b(features) if self.decide(x[:, 0]) else self.c(features))


DECISIONS: list[Callable[[Tensor], bool]] = [
    lambda x: bool((x < 0).all()),
    lambda x: x.max().item() < 0,
    lambda x: max(x.tolist()) < 0,
    lambda x: x.detach().numpy().max() < 0,
    lambda x: torch.equal(x, -x.abs()),
]


@pytest.mark.parametrize("decide", DECISIONS, ids=["bool", "item", "list", "array", "equal"])
def test_images_whose_company_would_decide_what_runs_are_measured_alone(decide: Callable[[Tensor], bool]) -> None:
    network = ExitOfWholeBatches(decide).double().eval()
    images = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images[:, 0] = torch.tensor([1.0, 2, 1, -1, -2])
    calls = {"a": [0], "b": [1], "c": [1]}
    of_layers = {"a": images, "b": images[3:], "c": images[:3]}
    agops = {
        name: sum(free_agop(network, image[None], calls[name]) for image in some) / 5
        for name, some in of_layers.items()
    }
    for sizes, budget in (([5], 1), ([5], 2**30), ([1, 4], 2**30), ([3, 2], 2**30)):
        report = cnfa.measure(network, images.split(sizes), memory_budget=budget, **QUICK)
        assert {layer.name for layer in report.layers} == set(agops)
        for name, agop in agops.items():
            torch.testing.assert_close(report[name].agop, agop)


class OnPurpose(BaseException):
    """Raised where a network is interrupted."""


def snapshot(network: nn.Module, images: Tensor) -> dict[str, object]:
    modules = list(network.modules())
    return {
        "attributes": [
            {key: list(value) if isinstance(value, dict | list) else id(value) for key, value in vars(module).items()}
            for module in modules
        ],
        "state": copy.deepcopy(network.state_dict()),
        "gradients": [p.grad for p in network.parameters()],
        "images": images.clone(),
        "random": torch.get_rng_state(),
        "checkpoints": dict(vars(torch.utils.checkpoint)),
    }


def fails(_: object) -> Tensor:
    raise ValueError("on purpose")


def is_interrupted(_: object) -> Tensor:
    raise OnPurpose


@pytest.mark.parametrize("head", [None, fails, is_interrupted], ids=["success", "failure", "interruption"])
def test_everything_is_left_as_it_was_found(toy: Toy, head: object) -> None:
    network, images = toy.network().train(), toy.images(2)
    before = snapshot(network, images)
    with contextlib.nullcontext() if head is None else pytest.raises((ValueError, OnPurpose)):
        cnfa.measure(network, images.numpy(), probes=1, head=head, **QUICK)
    after = snapshot(network, images)
    for key in ("attributes", "gradients", "checkpoints"):
        assert before[key] == after[key]
    torch.testing.assert_close(after["state"], before["state"], rtol=0, atol=0)
    assert torch.equal(after["images"], before["images"])
    assert torch.equal(after["random"], before["random"])


def test_the_tracker_follows_every_network(toy: Toy) -> None:
    network, images = toy.network(), toy.images(2)
    tracker = cnfa.Tracker(network, images, every=1, probes=1, rotations=0)
    tracker.update(0)
    for parameter in network.parameters():
        parameter.data.add_(0.1)
    report = tracker.update(1)
    assert report is not None
    assert torch.equal(images, toy.images(2))
    assert all(layer.initial_filters is not None for layer in report.layers if not layer.final)
