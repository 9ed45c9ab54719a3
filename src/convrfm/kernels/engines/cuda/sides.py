"""Images as the strip programs read them: positions first, images side by side."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from ....maths.patches import filter_patches, unfold_patches
from ...recursion.recursion import Embedding, Recursion, own_first_covariance, own_inputs


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


def embed_for_cuda(recursion: Recursion, images: Tensor, factor: Float[Tensor, "r d"] | None) -> CudaEmbedding:
    """Images with all their patches, which meet as matrices even where M is the identity."""
    window = recursion.architecture.first.window
    patches = unfold_patches(images, window) if factor is None else filter_patches(images, factor, window)
    patches = patches.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1)
    own = own_first_covariance(recursion, Embedding(images, patches, []))
    geometry = recursion.geometry
    return CudaEmbedding(images, patches, [geometry.variances(S).clone() for S in own_inputs(recursion, own)])
