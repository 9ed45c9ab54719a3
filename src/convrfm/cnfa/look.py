"""Looking at images through a layer: what its CNFM and its AGOP pick out, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..errors import InputError
from ..kernels.integers import positive_integer
from ..maths.dense import from_array
from ..maths.precision import full_precision
from .batches import Batch, ImageSource, ToArguments, batches
from .capture import first_use
from .layer_report import LayerReport
from .layers import Names, unwrapped
from .state import as_found


def feature_maps(
    network: nn.Module, images: Tensor | np.ndarray, layer: LayerReport, matrix: str = "agop"
) -> Float[Tensor, "n *positions"]:
    """`|M^(1/2) h[u]|` at every position u of the layer's input h (Figures 2 and 12 of the paper).

    Args:
        network: The network that was measured (or another that has a layer of that name and shape).
        images: `(n, ...)`.
        layer: Whose matrix M is used, and where h is taken.
        matrix: "agop" or "cnfm". For "cnfm" this is the norm over channels of the layer's output without bias.

    Returns:
        One map per image on the layer's grid of positions (per window or frame, where the layer takes those in the
        place of images); groups add up as squares.

    Raises:
        InputError: If the network's layer does not take the patches of the report's.
    """
    pixels = images if isinstance(images, Tensor) else from_array("images", images)
    responses = _responses(network, Batch((pixels,)), layer, layer.factor(matrix))
    return responses.square().sum(1).sqrt()


@dataclass(frozen=True)
class TopPatches:
    """The patches of a data set that a direction responds to most, strongest first.

    Attributes:
        responses: `<v, h[u]>`, signed.
        images: Which image each patch is from, in the order of the data.
        positions: Where on the layer's grid; first in which window or frame, where images are cut into those.
        patches: The patches themselves, `(directions, count, *patch_shape)`, of the layer's input.
    """

    responses: Float[Tensor, "directions count"]
    images: Int[Tensor, "directions count"]
    positions: Int[Tensor, "directions count axes"]
    patches: Float[Tensor, "directions count ..."]


def top_patches(
    network: nn.Module,
    images: ImageSource,
    layer: LayerReport,
    directions: Float[Tensor, "directions ..."],
    count: int = 8,
    *,
    batch: ToArguments | None = None,
) -> TopPatches:
    """The patches with the largest `|<v, h[u]>|` for each direction v, such as an eigenvector; streams over the images.

    Args:
        network: The network that was measured.
        images: As for `measure`.
        layer: Of one group.
        directions: `(directions, *patch_shape)`, as `layer.eigenvectors` gives them.
        count: Patches per direction.
        batch: As for `measure`.

    Raises:
        InputError: For a grouped layer, directions of another shape, no images, or another layer's report.
    """
    if layer.groups > 1 or tuple(directions.shape[1:]) != layer.patch_shape:
        raise InputError(
            f"directions must be (m, {', '.join(map(str, layer.patch_shape))}) for a layer of one group; "
            f"got {tuple(directions.shape)} and {layer.groups} groups."
        )
    count, flat = positive_integer("count", count), directions.flatten(1)
    filters = torch.cat([flat, torch.eye(flat.shape[1], dtype=flat.dtype)]).unsqueeze(0)
    best: list[TopPatches] = []
    seen = 0
    for each in batches(images, to_arguments=batch):
        for image in each.split(1):
            found = _of_one_image(_responses(network, image, layer, filters))
            response, patches = found[: len(flat)], found[len(flat) :].flatten(1).T
            strongest = response.flatten(1).abs().topk(min(count, response[0].numel())).indices
            places = torch.stack(torch.unravel_index(strongest, response.shape[1:]), -1)
            chosen = patches[strongest].unflatten(-1, layer.patch_shape)
            images_at = torch.full_like(strongest, seen)
            best.append(TopPatches(response.flatten(1).gather(1, strongest), images_at, places, chosen))
            best = [_strongest(best, count)]
            seen += 1
    if not best:
        raise InputError("images must hold at least one image; got none.")
    return best[0]


def _strongest(found: Sequence[TopPatches], count: int) -> TopPatches:
    joined = [torch.cat([getattr(part, name) for part in found], 1) for name in TopPatches.__dataclass_fields__]
    order = joined[0].abs().argsort(1, descending=True)[:, :count]
    rows = torch.arange(len(order)).unsqueeze(1)
    return TopPatches(*(values[rows, order] for values in joined))


def _of_one_image(responses: Float[Tensor, "n all_rows *positions"]) -> Float[Tensor, "all_rows ..."]:
    """The axis of images holds windows or frames, or one image: it is then left out, unless it is the only position."""
    by_row = responses.movedim(1, 0)
    return by_row[:, 0] if by_row.ndim > 2 and by_row.shape[1] == 1 else by_row


def _responses(
    network: nn.Module, images: Batch, layer: LayerReport, filters: Float[Tensor, "groups rows d"]
) -> Float[Tensor, "n all_rows *positions"]:
    """Every group's filters applied at every position of the layer's input, on the CPU."""
    network = unwrapped(network)
    name = Names(network).aliases.get(layer.name, layer.name)
    with as_found(network):
        use = first_use(network, images, name)
        assert use.entered is not None
        entries = prod(use.product.patch_shape)
        if filters.shape[-1] != entries:
            raise InputError(
                f"layer {layer.name!r} takes patches of {entries} entries; those of the report have {filters.shape[-1]}. Look "
                "through the network that was measured, with a report that was taken without whole=True."
            )
        entered = use.entered.to(torch.promote_types(use.entered.dtype, torch.float32))
        with torch.no_grad(), full_precision():
            return use.product.respond(entered, filters.to(entered)).cpu()
