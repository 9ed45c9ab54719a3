"""Pictures of matrices as operators on images are what multiplying every patch gives."""

import pytest
import torch
from torch import Tensor, nn

from convrfm import cnfa
from convrfm.errors import InputError

from .cases import SINGLE_LAYERS, Case
from .oracle import convolution_patches, transposed_patches

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


def patches_of(layer: nn.Module, images: Tensor) -> tuple[Tensor, list[int]]:
    transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
    return (transposed_patches if transposed else convolution_patches)(layer, images)


@pytest.mark.parametrize("case", SINGLE_LAYERS, ids=lambda case: case.name)
def test_feature_maps_are_norms_of_multiplied_patches(case: Case) -> None:
    network, images = case.network(), case.images()
    layer = cnfa.measure(network, images, rotations=0, resamples=0)["0"]
    patches, grid = patches_of(network[0], images)
    for name in ("cnfm", "agop"):
        matrix = cnfa.patch_agop(network, images, layer="0") if name == "agop" else layer.cnfm
        blocks = matrix if layer.groups > 1 else matrix[None]
        grouped = patches.unflatten(-1, (layer.groups, -1))
        squares = torch.einsum("npgd,gde,npge->np", grouped, blocks, grouped)
        maps = cnfa.feature_maps(network, images, layer, name)
        torch.testing.assert_close(maps, squares.clamp(min=0).sqrt().unflatten(1, grid), rtol=1e-6, atol=1e-7)


def test_top_patches_are_those_of_a_full_search() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Flatten(), nn.Linear(36, 2)
    )
    images = torch.randn(7, 2, 8, 8)
    layer = cnfa.measure(network, images)["2"]
    _, directions = layer.eigenvectors("agop", 2)
    found = cnfa.top_patches(network, [images[:3], images[3:]], layer, directions, count=5)
    patches, grid = convolution_patches(network[2], network[:2](images).detach())
    responses = patches.double() @ directions.flatten(1).T
    for v in range(2):
        flat = responses[..., v].flatten()
        expected = flat[flat.abs().argsort(descending=True)[:5]]
        torch.testing.assert_close(found.responses[v].double(), expected, rtol=1e-4, atol=1e-5)
        place = found.positions[v, 0]
        patch = patches[found.images[v, 0], place[0] * grid[1] + place[1]]
        torch.testing.assert_close(found.patches[v, 0].flatten(), patch.to(found.patches))


def test_directions_of_another_shape_are_named() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(27, 2))
    images = torch.randn(2, 2, 5, 5)
    layer = cnfa.measure(network, images)["0"]
    with pytest.raises(InputError, match=r"must be \(m, 2, 3, 3\)"):
        cnfa.top_patches(network, images, layer, torch.zeros(1, 3, 3))


def test_looking_leaves_the_network_as_it_was_found() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Dropout(), nn.Flatten(), nn.Linear(27, 2)).train()
    images = torch.randn(2, 2, 5, 5)
    layer = cnfa.measure(network, images)["0"]
    cnfa.feature_maps(network, images, layer)
    assert all(module.training for module in network.modules())
    assert not any(module._forward_pre_hooks for module in network.modules())
