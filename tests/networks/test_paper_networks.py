"""The paper's networks: their infinitely wide limits, published sizes, and weights that only the seed decides."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from convrfm import kernels, networks
from convrfm.errors import InputError

SHAPE = (3, 32, 32)


def gram_of_features(network: nn.Sequential, x: Tensor, generator: torch.Generator) -> Tensor:
    """Of random weights with variance 1 / fan-in, relu scaled by sqrt 2, before the readout."""
    for number, weight in enumerate(list(network.parameters())[:-1]):
        variance = (1 if number == 0 else 2) / weight[0].numel()
        weight.data = math.sqrt(variance) * torch.randn(weight.shape, generator=generator)
    with torch.no_grad():
        features = network[:-1](x)
    return 2 * features @ features.T / features.shape[1]


def cosines(gram: Tensor) -> Tensor:
    norms = gram.diagonal().sqrt()
    return gram / torch.outer(norms, norms)


@pytest.mark.parametrize(
    ("build", "architecture"),
    [
        (lambda: networks.vanilla_cnn((3, 10, 10), 2, width=256, depth=2), kernels.vanilla(2)),
        (lambda: networks.vanilla_cnn((3, 10, 10), 2, width=256, depth=1, patch_size=5), kernels.vanilla(1, 5)),
        (lambda: networks.myrtle_cnn(SHAPE, 2, width=64, depth=5), kernels.myrtle(5)),
    ],
    ids=["vanilla", "vanilla, q = 5", "myrtle"],
)
def test_wide_random_networks_have_the_kernels_of_their_names(
    build: Callable[[], nn.Sequential], architecture: kernels.Architecture
) -> None:
    network, generator = build(), torch.Generator().manual_seed(0)
    x = torch.randn(3, *((3, 10, 10) if len(architecture.layers) < 9 else SHAPE), generator=generator)
    mean = torch.stack([gram_of_features(network, x, generator) for _ in range(6)]).mean(0)
    expected = kernels.NNGP(architecture, engine="reference")(x, x)
    torch.testing.assert_close(cosines(mean), cosines(expected), rtol=0, atol=0.02)
    torch.testing.assert_close(mean, expected, rtol=0.3, atol=0)  # the scale of a deep network varies more


def test_simplenet_has_the_published_layers() -> None:
    network = networks.simplenet(SHAPE, 10)
    shapes = [tuple(layer.weight.shape) for layer in network if isinstance(layer, nn.Conv2d)]
    channels = [64, 128, 128, 128, 128, 128, 256, 256, 256, 512, 2048, 256, 256]
    assert [shape[0] for shape in shapes] == channels
    assert [shape[2] for shape in shapes] == [3] * 10 + [1, 1, 3]
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(5.48e6, rel=5e-3)


def test_filters_have_the_deviations_of_the_paper() -> None:
    first, *others = networks.cnn_vec(SHAPE, 10).parameters()
    assert first.std().item() == pytest.approx(5e-3, rel=0.1)
    assert [weight.std().item() for weight in others] == pytest.approx([1e-2] * 4, rel=0.05)
    for width, deviation in ((64, 1e-4), (16, 2e-4)):
        filters = [layer.weight for layer in networks.simplenet(SHAPE, 10, width=width) if isinstance(layer, nn.Conv2d)]
        assert [weight.std().item() for weight in filters] == pytest.approx([deviation] * 13, rel=0.15)


def test_pooled_networks_differ_in_their_pooling_alone() -> None:
    averaged, maximal = networks.average_pooled_cnn(SHAPE, 7), networks.max_pooled_cnn(SHAPE, 7)
    maximal.load_state_dict(averaged.state_dict())
    constant = torch.rand(2, 3, 1, 1).expand(2, *SHAPE)
    for layer in (*averaged, *maximal):
        if isinstance(layer, nn.Conv2d):
            layer.padding = "valid"
            layer.weight.data = layer.weight.data[:, :, :1, :1]
    torch.testing.assert_close(averaged(constant), maximal(constant))  # of equal values the mean is the maximum


@pytest.mark.parametrize("name", sorted(networks.DESIGNS))
def test_only_the_seed_decides_the_weights_and_torch_stays_as_it_was(name: str) -> None:
    state = torch.get_rng_state()
    built = [networks.Design(name, width=4).build(SHAPE, 5, seed).state_dict() for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), state)
    assert built[0].keys() == built[1].keys()
    assert all(torch.equal(built[0][key], built[1][key]) for key in built[0])
    assert not all(torch.equal(built[0][key], built[2][key]) for key in built[0])


@pytest.mark.parametrize("name", sorted(networks.DESIGNS))
def test_every_network_gives_an_output_for_each_class(name: str) -> None:
    assert networks.Design(name, width=4).build(SHAPE, 5, 0)(torch.zeros(2, *SHAPE)).shape == (2, 5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: networks.Design("resnet"), "NETWORK must be one of vanilla, .*got 'resnet'"),
        (lambda: networks.Design("simplenet", depth=3), "leave out depth=3"),
        (lambda: networks.Design("myrtle", depth=6).build(SHAPE, 2, 0), r"depths \[5, 7, 10\]; got 6"),
        (lambda: networks.Design("myrtle").build((1, 16, 16), 2, 0), "images of 1 x 16 x 16 are too small"),
        (lambda: networks.Design("vanilla").build((1, 5, 5), 2, 0), "images of 1 x 5 x 5 are too small"),
        (lambda: networks.Design("simplenet").build((1, 8, 8), 2, 0), "16 x 16 or more; got 1 x 8 x 8"),
    ],
    ids=["name", "size", "depth", "myrtle", "vanilla", "simplenet"],
)
def test_what_cannot_be_built_is_said(build: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()
