"""The sum of gradient outer products through one layer of features and their averages, without the gradients.

Where a network is one convolution, an activation and averages of positions, the gradient of output o with respect to what the
filters put out at a position is phi'(s) times the coefficients that its average is read with, entry by entry. Summed over
outputs, its outer product is phi'(s) phi'(s)^T times C C^T, entry by entry: one matrix product for all positions of an average
and all images, whatever the number of outputs.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ...maths.patches import unfold_patches
from ...maths.symmetric import add_upper, mirrored
from ..tiling import blocks
from .random_layers import Activated, Pooled, RandomConv, RandomLayer, Signal

BYTES = 8  # of a number, at most
ALIVE = 4  # fields of all filters at the positions of an average, at once
CACHED = 1 << 22  # numbers of such a field; products of more are no faster
MOVED = 96  # entries of a patch: a gradient's product with as many takes as long as bringing its own numbers there
ADDED = 96  # positions: a product of as many slopes takes as long as adding it to the sum


@dataclass(frozen=True, eq=False)
class SlopeSum:
    """The sum over images, outputs and positions.

    Attributes:
        conv: the convolution, of which no direction of the weights is meant.
        activated: the activation.
        side: of the square of positions that an average is over.
        read: what each output reads each average with, over the number of positions in it.
        alike: whether all averages are read alike.
        budget: bytes.
    """

    conv: RandomConv
    activated: Activated
    side: int
    read: Float[Tensor, "k r rows cols"]
    alike: bool
    budget: int

    @classmethod
    def of(
        cls,
        conv: RandomConv,
        hidden: Sequence[RandomLayer],
        read: Float[Tensor, "k r rows cols"],
        budget: int,
        *,
        alike: bool,
    ) -> "SlopeSum | None":
        """Of a network with such a readout; None where it has other layers, or is a tangent one."""
        if conv.direction is not None or not hidden or not isinstance(hidden[0], Activated):
            return None
        pools = [layer for layer in hidden[1:] if isinstance(layer, Pooled)]
        if len(pools) + 1 < len(hidden):
            return None
        side = math.prod(pool.window.size for pool in pools)
        return cls(conv, hidden[0], side, read / side**2, alike, budget)

    def pays(self, images: Float[Tensor, "n c h w"]) -> bool:
        """Whether memory suffices and the gradients of these images would cost more."""
        (k, r), d = self.read.shape[:2], self.conv.filters.shape[1]
        met = min(len(images), self._at_once(images)) * self._positions
        return 2 * BYTES * r**2 <= self.budget // 2 and r * (met + k + ADDED) < 2 * met * k * (d + MOVED)

    def __call__(
        self, images: Float[Tensor, "n c h w"], roots: Float[Tensor, " n"] | None, *, on_patches: bool
    ) -> Float[Tensor, "s s"]:
        """The sum, the gradients of every image times its root: with respect to patches, or to what the filters put out."""
        filters = self.conv.filters
        total = torch.zeros(2 * (len(filters),), dtype=torch.float64, device=images.device)
        conv = self.conv.on_patches(slice(0, len(filters)))
        for rows in blocks(len(images), self._at_once(images)):
            patches = unfold_patches(images[rows], self.conv.window)
            for down, across, coef in self._averages():
                met = conv.forward(Signal(patches[:, :, down, across])).value
                slopes = self.activated.activation.derivative(met)
                if roots is not None:
                    slopes = slopes * roots[rows, None, None, None]
                add_upper(total, slopes.flatten(2).mT.flatten(0, 1).mT, coef.T)
        inner = mirrored(total)
        if on_patches:
            inner = filters.mT.to(inner) @ inner @ filters.to(inner)
        return inner.to(images)

    def _averages(self) -> Iterator[tuple[slice, slice, Float[Tensor, "k r"]]]:
        """Rows and columns of positions that are read alike, and what with."""
        grid = self.read.shape[2:]
        rows, cols = (self.side * length if self.alike else self.side for length in grid)
        for a, b in [(0, 0)] if self.alike else itertools.product(*map(range, grid)):
            yield slice(a * rows, (a + 1) * rows), slice(b * cols, (b + 1) * cols), self.read[:, :, a, b]

    @property
    def _positions(self) -> int:
        down, across, _ = next(self._averages())
        return (down.stop - down.start) * (across.stop - across.start)

    def _at_once(self, images: Float[Tensor, "n c h w"]) -> int:
        """Of how many images patches and answers are alive."""
        field = self.read.shape[1] * self._positions
        patches = 2 * self.conv.filters.shape[1] * math.prod(map(self.conv.window.output_length, images.shape[-2:]))
        return max(1, min(CACHED // field, self.budget // 2 // (BYTES * (ALIVE * field + patches))))
