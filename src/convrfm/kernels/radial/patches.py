"""Squared distances of patches at equal positions, right to the last digits also of patches that are nearly alike."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from ...maths.windows import Window

Squares = Float[Tensor, "positions n m"]
NEAR = 1 / 64  # of |f|^2 + |g|^2: what |f|^2 + |g|^2 - 2 f . g tells of a smaller |f - g|^2 is mostly rounding
COINCIDENT = 8  # roundings of patches' lengths, within which they are one
DIFFERENCES_TOGETHER = 2**18  # numbers of near patches' differences


@dataclass(frozen=True, eq=False)
class PatchesOfImages:
    """L x[u] of images at every position, made where they are needed.

    Attributes:
        images: `(n, c, h, w)`.
        center: what all images are taken less of: distances stay, and are not lost beside what images have in common.
        factor: L; None for the identity.
        window: which cuts patches; without padding, and of stride 1.
    """

    images: Float[Tensor, "n c h w"]
    center: Float[Tensor, "c h w"]
    factor: Float[Tensor, "r d"] | None
    window: Window

    @property
    def grid(self) -> tuple[int, int]:
        """The rows and columns of positions."""
        rows, cols = (self.window.output_length(length) for length in self.images.shape[-2:])
        return rows, cols

    @property
    def length(self) -> int:
        """Entries of an L x[u]."""
        return self.images.shape[1] * self.window.size**2 if self.factor is None else len(self.factor)

    def of(self, images: slice) -> "PatchesOfImages":
        """Those of some images."""
        return replace(self, images=self.images[images])

    def strip(self, rows: slice) -> "Strip":
        """What some rows of positions meet."""
        met = slice(rows.start, rows.stop + self.window.size - 1)
        moved = (self.images[:, :, met] - self.center[:, met]).permute(1, 2, 3, 0).contiguous()
        return Strip(moved, self.factor, self.window)


@dataclass(frozen=True, eq=False)
class Strip:
    """Rows of images, the images last: so patches are cut in long runs of numbers, where rows of a patch are but q long."""

    entries: Float[Tensor, "c h w n"]
    factor: Float[Tensor, "r d"] | None
    window: Window

    def at(self, cols: slice) -> "Patches":
        """Patches at some columns of positions, row by row."""
        q = self.window.size
        met = self.entries[:, :, cols.start : cols.stop + q - 1]
        cut = met.unfold(1, q, 1).unfold(2, q, 1).permute(1, 2, 0, 4, 5, 3).flatten(2, 4).flatten(0, 1)
        if self.factor is None:
            norms = squared_lengths(cut)
            return Patches(cut, norms, norms)
        entries = self.factor @ cut
        return Patches(entries, squared_lengths(entries), squared_lengths(cut) * self.factor.square().sum())


@dataclass(frozen=True, eq=False)
class Patches:
    """L x[u] of some images at some positions.

    Attributes:
        entries: L x[u].
        norms: |L x[u]|^2.
        bounds: |L|^2 |x[u]|^2, no less: what the rounding of L x[u] goes with.
    """

    entries: Float[Tensor, "positions r n"]
    norms: Float[Tensor, "positions n"]
    bounds: Float[Tensor, "positions n"]

    def at(self, positions: slice) -> "Patches":
        """Those at some of the positions."""
        return Patches(self.entries[positions], self.norms[positions], self.bounds[positions])

    def of(self, images: slice) -> "Patches":
        """Those of some images."""
        return Patches(self.entries[:, :, images], self.norms[:, images], self.bounds[:, images])

    def squared_distances(self, others: "Patches", *, but_first: bool = False) -> Squares:
        """|f - g|^2, of near patches from their difference; what is zero but for the rounding of patches is zero.

        Patches are near where their distance is small beside their lengths, or beside what their own rounding may be.

        Args:
            others: the g.
            but_first: the f are the first of the g, and nobody asks how far each is from itself: those squares are any number.
        """
        norms = self.norms[:, :, None] + others.norms[:, None]
        squares = torch.baddbmm(norms, self.entries.mT, others.entries, alpha=-2)
        if but_first:
            squares.diagonal(0, 1, 2).copy_(norms.diagonal(0, 1, 2))
        least = (COINCIDENT * torch.finfo(norms.dtype).eps) ** 2
        with torch.no_grad():
            mine, theirs = (NEAR * side.norms + least * side.bounds for side in (self, others))
            beyond = (mine[:, :, None] + theirs[:, None]).neg_().add_(squares)
        if not beyond.min() < 0:
            return squares
        near = (beyond < 0).nonzero()
        direct = []
        for position, left, right in (at.T for at in near.split(max(1, DIFFERENCES_TOGETHER // self.entries.shape[1]))):
            differences = self.entries[position, :, left] - others.entries[position, :, right]
            bounds = self.bounds[position, left] + others.bounds[position, right]
            found = differences.square().sum(1)
            direct.append(torch.where(found > least * bounds, found, 0))
        return squares.index_put(tuple(near.T), torch.cat(direct))


def squared_lengths(entries: Float[Tensor, "positions r n"]) -> Float[Tensor, "positions n"]:
    """|p|^2 of each: on the CPU position by position, which stays in caches."""
    if entries.device.type == "cpu":
        return torch.stack([of_one.square().sum(0) for of_one in entries])
    return entries.square().sum(1)
