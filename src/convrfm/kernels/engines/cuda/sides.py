"""Images as the programs read them, positions first, images side by side; and where two batches meet."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from ....maths.patches import filter_patches
from ....maths.window_means import pad
from ...recursion.recursion import Embedding, Images, Recursion, own_first_covariance, own_inputs, patch_entries
from ..own_by_recursion import OwnByRecursion
from ..protocol import Patches

ADDRESSES = 1 << 31  # numbers of a field; the programs count in 32 bits
SINGLE = 4  # bytes


@dataclass(frozen=True, eq=False)
class CudaEmbedding(Embedding):
    """A batch of images; `patches` are a view of memory in which images come last."""

    @property
    def side(self) -> Float[Tensor, "positions r n"]:
        """The patches, position by position."""
        return self.contracted.permute(2, 3, 1, 0).flatten(0, 1)

    @cached_property
    def over(self) -> Float[Tensor, "positions n"]:
        """The reciprocal of every patch's norm, 0 for a zero patch, activation after activation."""
        q = torch.cat([of_level.flatten(1).T for of_level in self.variances])
        return torch.where(q > 0, q.double().rsqrt().to(q), 0)


class BoundSides(OwnByRecursion[CudaEmbedding]):
    """An engine that reads images so."""

    unfolds = True

    @override
    def embed(self, images: Images, factor: Float[Tensor, "r d"] | None, *, patches: Patches) -> CudaEmbedding:
        """Images with all their patches, which meet as matrices even where M is the identity."""
        recursion, window = self.recursion, self.recursion.architecture.first.window
        if factor is None:  # a view in which pixels stand in every patch they are part of, and one copy
            q, s = window.size, window.stride
            met = pad(images, window, (-2, -1)).unfold(2, q, s).unfold(3, q, s).permute(2, 3, 1, 4, 5, 0).flatten(2, 4)
        else:
            met = filter_patches(images, factor, window).permute(2, 3, 1, 0).contiguous()
        patches_last = met.permute(3, 2, 0, 1)
        own = own_first_covariance(recursion, Embedding(images, patches_last, []))
        variances = [recursion.geometry.variances(S).clone() for S in own_inputs(recursion, own)]
        return CudaEmbedding(images, patches_last, variances)


def first_covariance(
    recursion: Recursion, x: CudaEmbedding, z: CudaEmbedding, rows: slice, cols: slice
) -> Float[Tensor, "places n_x n_z"]:
    """Of some images with some, at every position, or where these are coupled at every pair of them.

    In single precision, unless torch's own flag lets matrix products round to TF32.
    """
    conv, of_x, of_z = recursion.architecture.first, x.side[:, :, rows], z.side[:, :, cols]
    scale = conv.weight_std**2 / patch_entries(recursion, x.images)
    if recursion.architecture.couples_positions:
        S = torch.einsum("urx,vrz->uvxz", of_x * scale, of_z).flatten(0, 1).contiguous()
    else:
        S = of_x.new_empty(len(of_x), of_x.shape[2], of_z.shape[2])
        S.baddbmm_(of_x.mT, of_z, beta=0, alpha=scale)
    return S.add_(conv.bias_std**2) if conv.bias_std else S


def pairs_within(budget: int, largest_field: int, numbers: int) -> int:
    """How many pairs make a tile, from the numbers that each takes in its largest field and in all."""
    return max(1, min(budget // (SINGLE * numbers), (ADDRESSES - 1) // largest_field))
