"""Squared distances of patches at equal positions, right to the last digits also of patches that are nearly alike."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..maths.patches import filter_patches
from ..maths.windows import Window

Squares = Float[Tensor, "positions n m"]
NEAR = 1 / 64  # of |f|^2 + |g|^2: what |f|^2 + |g|^2 - 2 f . g tells of a smaller |f - g|^2 is mostly rounding
COINCIDENT = 8  # roundings of patches' lengths, within which they are one
DIFFERENCES_TOGETHER = 2**18  # numbers of near patches' differences


@dataclass(frozen=True, eq=False)
class PatchesOfImages:
    """L x[u] of images at every position, made where they are needed.

    Attributes:
        images: `(n, c, h, w)`.
        factor: L; None for the identity.
        window: which cuts patches; without padding, and of stride 1.
    """

    images: Float[Tensor, "n c h w"]
    factor: Float[Tensor, "r d"] | None
    window: Window

    @property
    def rows(self) -> int:
        """How many there are of positions."""
        return self.window.output_length(self.images.shape[2])

    def at(self, rows: slice) -> "Patches":
        """Those of some rows of positions."""
        q = self.window.size
        images = self.images[:, :, rows.start : rows.stop + q - 1]
        if self.factor is None:  # positions first in one copy, where `unfold_patches` and an order of its own take two
            cut = images.unfold(2, q, 1).unfold(3, q, 1).permute(2, 3, 0, 1, 4, 5)
            return Patches.of(cut.flatten(3).flatten(0, 1))
        return Patches.of(filter_patches(images, self.factor, self.window).flatten(2).permute(2, 0, 1).contiguous())


@dataclass(frozen=True, eq=False)
class Patches:
    """L x[u] of some images at some positions, and |L x[u]|^2."""

    entries: Float[Tensor, "positions n r"]
    norms: Float[Tensor, "positions n"]

    @classmethod
    def of(cls, entries: Float[Tensor, "positions n r"]) -> "Patches":
        """With their norms."""
        return cls(entries, entries.square().sum(2))

    def at(self, positions: slice, images: slice = slice(None)) -> "Patches":
        """Some of them."""
        return Patches(self.entries[positions, images], self.norms[positions, images])

    def squared_distances(self, others: "Patches") -> Squares:
        """|f - g|^2, of near patches from their difference; what is zero but for the rounding of patches is zero."""
        norms = self.norms[:, :, None] + others.norms[:, None]
        squares = torch.baddbmm(norms, self.entries, others.entries.transpose(1, 2), alpha=-2)
        if not torch.sub(squares, norms, alpha=NEAR).min() < 0:
            return squares
        near = (squares < NEAR * norms).nonzero()
        direct = []
        for position, left, right in (at.T for at in near.split(max(1, DIFFERENCES_TOGETHER // self.entries.shape[2]))):
            differences = self.entries[position, left] - others.entries[position, right]
            least = (COINCIDENT * torch.finfo(norms.dtype).eps) ** 2 * norms[position, left, right]
            found = differences.square().sum(1)
            direct.append(torch.where(found > least, found, 0))
        return squares.index_put(tuple(near.T), torch.cat(direct))
