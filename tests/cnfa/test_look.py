"""Pictures of matrices as operators on images are what multiplying every patch gives."""

from collections.abc import Callable

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


class Windows(nn.Module):
    """Runs its layer on the quarters of each image, folded into the batch, and scales what comes out."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.last = layer, nn.LazyLinear(2)

    def cut(self, x: Tensor) -> Tensor:
        quarters = [x[..., rows, columns] for rows in (slice(4), slice(4, 8)) for columns in (slice(4), slice(4, 8))]
        return torch.stack(quarters, 1).flatten(0, 1)

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        windows = torch.tanh(self.layer(self.cut(x))).unflatten(0, (len(x), 4))
        return self.last(windows.flatten(1)) * scale[:, None]


class Flattened(nn.Sequential):
    """A linear layer: a patch is a whole window."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(32, 5))


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.parametrize(
    ("build", "name"), [(lambda: nn.Conv2d(2, 3, 3), "layer"), (Flattened, "layer.1")], ids=["convolution", "linear"]
)
def test_top_patches_see_every_window_of_an_image_and_every_argument(build: Callable[[], nn.Module], name: str) -> None:
    torch.manual_seed(0)
    network, images = Windows(build()), torch.randn(5, 2, 8, 8)
    loader = [{"pixels": images[:3], "scale": torch.ones(3)}, {"pixels": images[3:], "scale": torch.ones(2)}]
    options = {"batch": lambda item: (item["pixels"], item["scale"])}
    layer = cnfa.measure(network, loader, rotations=0, resamples=0, **options)[name]
    _, directions = layer.eigenvectors("agop", 2)
    found = cnfa.top_patches(network, loader, layer, directions, count=6, **options)
    windows = network.cut(images)
    patches = windows.flatten(1)[:, None] if name == "layer.1" else convolution_patches(network.layer, windows)[0]
    responses = (patches.double() @ directions.flatten(1).T).flatten(0, 1).T
    strongest = responses.abs().topk(6)
    torch.testing.assert_close(found.responses.double().abs(), strongest.values, rtol=1e-4, atol=1e-5)
    side = 2 if name == "layer" else 1
    where = torch.stack(torch.unravel_index(strongest.indices, (5, 4, *(side,) * (2 if name == "layer" else 0))), -1)
    torch.testing.assert_close(torch.cat([found.images.unsqueeze(-1), found.positions], -1), where)
    torch.testing.assert_close(found.patches.flatten(2), patches.flatten(0, 1)[strongest.indices])


class Alone(nn.Module):
    """Drops the axis of images where there is one image, as a bare `squeeze()` does."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(2, 3, 3)
        self.rows = nn.ConvTranspose2d(3, 2, 2)
        self.last = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.rows(torch.tanh(self.features(x.squeeze())))
        return torch.tanh(self.last(x.mean((-2, -1)))).reshape(-1, 2)


@pytest.mark.parametrize("name", ["features", "rows", "last"])
def test_one_image_without_an_axis_of_images_is_seen_as_among_others(name: str) -> None:
    torch.manual_seed(0)
    network, images = Alone(), torch.randn(2, 2, 5, 5)
    layer = cnfa.measure(network, images[:1], rotations=0, resamples=0)[name]
    torch.testing.assert_close(
        cnfa.feature_maps(network, images[:1], layer), cnfa.feature_maps(network, images, layer)[:1]
    )


@pytest.mark.parametrize(
    "case", [case for case in SINGLE_LAYERS if "2d" in case.name and "group" in case.name], ids=lambda case: case.name
)
def test_blocks_of_rows_add_up_in_feature_maps_and_whole_layers_are_refused(case: Case) -> None:
    network, images = case.network(), case.images()
    plain = cnfa.measure(network, images, rotations=0, resamples=0)["0"]
    rows = plain.filters.shape[1]
    cut = cnfa.measure(network, images, rotations=0, resamples=0, blocks={"0": rows})["0"]
    torch.testing.assert_close(
        cnfa.feature_maps(network, images, cut, "cnfm"), cnfa.feature_maps(network, images, plain, "cnfm")
    )
    if plain.groups > 1:
        whole = cnfa.measure(network, images, rotations=0, resamples=0, whole=True)["0"]
        with pytest.raises(InputError, match="without whole=True"):
            cnfa.feature_maps(network, images, whole)


def test_blocks_of_a_linear_layer_add_up_in_feature_maps() -> None:
    torch.manual_seed(0)
    network, images = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2)), torch.randn(3, 5, 6)
    network.append(nn.Flatten())
    plain, cut = (cnfa.measure(network, images, rotations=0, resamples=0, blocks=b)["0"] for b in ({}, {"0": 2}))
    maps = cnfa.feature_maps(network, images, cut, "cnfm")
    torch.testing.assert_close(maps, cnfa.feature_maps(network, images, plain, "cnfm"))


def test_directions_of_another_shape_are_named() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(27, 2))
    images = torch.randn(2, 2, 5, 5)
    layer = cnfa.measure(network, images)["0"]
    with pytest.raises(InputError, match=r"must be \(m, 2, 3, 3\)"):
        cnfa.top_patches(network, images, layer, torch.zeros(1, 3, 3))


def test_arrays_are_looked_at_as_tensors_are() -> None:
    network, images = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(27, 2)), torch.randn(2, 2, 5, 5)
    layer = cnfa.measure(network, images.numpy())["0"]
    maps = cnfa.feature_maps(network, images, layer)
    torch.testing.assert_close(cnfa.feature_maps(network, images.numpy(), layer), maps, rtol=0, atol=0)


def test_looking_leaves_the_network_as_it_was_found() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Dropout(), nn.Flatten(), nn.Linear(27, 2)).train()
    images = torch.randn(2, 2, 5, 5)
    layer = cnfa.measure(network, images)["0"]
    cnfa.feature_maps(network, images, layer)
    assert all(module.training for module in network.modules())
    assert not any(module._forward_pre_hooks for module in network.modules())
