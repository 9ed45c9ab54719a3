"""The sum of gradient outer products through one layer of features and their averages, without the gradients.

Where a network is one convolution, an activation and averages of positions, the gradient of output o with respect to what the
filters put out at a position is phi'(s) times the coefficients that its average is read with, entry by entry. Summed over
outputs, its outer product is phi'(s) phi'(s)^T times C C^T, entry by entry: one matrix product for all positions of an average
and all images, whatever the number of outputs.

What the filters' gradients add up to may be far smaller than they are; squared, that takes twice the digits. So images in
single precision are multiplied out in double, but for derivatives that are 0 and 1, whose products single precision holds
exactly; and images in double are left to the gradients.
"""

import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from ...maths.patches import unfold_patches
from ...maths.symmetric import add_band, bands, mirrored
from ..activations.activation import Activation
from ..activations.piecewise_linear import PiecewiseLinear
from ..threads import in_order, parts, share
from ..tiling import blocks
from .random_layers import Activated, Pooled, RandomConv, RandomLayer, Signal

BYTES = 8  # of a number, at most
FEWEST = 2  # images at a time: of a single one torch does not see the order of memory
ALIVE = 4  # fields of all filters at the positions of an average, at once
CACHED = 1 << 22  # numbers of such a field; products of more are no faster
MOVED = 96  # entries of a patch: a gradient's product with as many takes as long as bringing its own numbers there
ADDED = 96  # positions: a product of as many slopes takes as long as adding it to the sum


@dataclass(frozen=True, eq=False)
class SlopeSum:
    """The sum over images, outputs and positions.

    Attributes:
        conv: the convolution, of which no direction of the weights is meant.
        activation: what follows it.
        span: rows and columns of positions that an average is over.
        read: what each output reads each average with, over the number of positions in it.
        budget: bytes.
    """

    conv: RandomConv
    activation: Activation
    span: tuple[int, int]
    read: Float[Tensor, "k r rows cols"]
    budget: int

    @classmethod
    def of(
        cls,
        conv: RandomConv,
        hidden: Sequence[RandomLayer],
        read: Float[Tensor, "k r rows cols"],
        grid: Sequence[int],
        budget: int,
    ) -> "SlopeSum | None":
        """Of a network whose last layer has so many positions; None where it has other layers, or is a tangent one."""
        if conv.direction is not None or not hidden or not isinstance(hidden[0], Activated):
            return None
        pools = [layer for layer in hidden[1:] if isinstance(layer, Pooled)]
        if len(pools) + 1 < len(hidden):
            return None
        side = math.prod(pool.window.size for pool in pools)
        down, across = (side * length // averages for length, averages in zip(grid, read.shape[2:], strict=True))
        return cls(conv, hidden[0].activation, (down, across), read / (down * across), budget)

    def pays(self, images: Float[Tensor, "n c h w"]) -> bool:
        """Whether digits and memory suffice, and the gradients of these images would cost more."""
        (k, r), d, fitting = self.read.shape[:2], self.conv.filters.shape[1], self._fitting(images)
        if images.dtype != torch.float32 or not fitting or 2 * BYTES * r**2 > self.budget // 2:
            return False
        met = min(len(images), fitting) * math.prod(self.span)
        return r * (met * (2 if self._height is None else 1) + k + ADDED) < 2 * met * k * (d + MOVED)

    def __call__(
        self,
        images: Float[Tensor, "n c h w"],
        roots: Float[Tensor, " n"] | None,
        *,
        turned: Float[Tensor, "s r"] | None,
    ) -> Float[Tensor, "s s"]:
        """The sum, the gradients of every image times its root: with respect to patches, or to what the filters put out times
        a matrix.
        """
        filters, on_cpu = self.conv.filters.double(), images.device.type == "cpu"
        total = torch.zeros(2 * (len(filters),), dtype=torch.float64, device=images.device)
        for rows in blocks(len(images), max(1, self._fitting(images))):
            patches = self._patches(images[rows])
            for down, across, coef in self._averages():
                slopes = self._slopes(patches[:, :, down, across], None if roots is None else roots[rows])
                add = partial(_add_bands, total, slopes.flatten(0, 1).mT, coef.T)
                share(add, bands(len(filters)), sys.maxsize if on_cpu else 1)
        onto = filters.T if turned is None else turned
        return (onto @ mirrored(total) @ onto.T).to(images)

    @property
    def _height(self) -> float | None:
        """Of phi', where that is 0 on one side and constant on the other."""
        if not isinstance(self.activation, PiecewiseLinear):
            return None
        below, above = self.activation.slopes
        return None if below else above or None

    def _patches(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d rows cols"]:
        some = parts(len(images), FEWEST, images.device)
        return torch.cat(in_order(lambda few: unfold_patches(images[few], self.conv.window), some))

    def _slopes(
        self, patches: Float[Tensor, "n d rows cols"], roots: Float[Tensor, " n"] | None
    ) -> Float[Tensor, "n positions r"]:
        """phi' at the positions of an average, over its height if it has one, every image times its root."""
        conv, is_exact = self.conv.on_patches(slice(0, len(self.conv.filters))), self._height is not None
        shape = len(patches), math.prod(self.span), len(self.conv.filters)
        slopes = patches.new_empty(shape, dtype=torch.float32 if is_exact and roots is None else torch.float64)

        def fill(parts_of_images: Iterator[slice]) -> None:
            for some in parts_of_images:
                found = self.activation.derivative(conv.forward(Signal(patches[some])).value).flatten(2).mT
                slopes[some] = found if self._height is None else found.div_(self._height)
                if roots is not None:
                    slopes[some].mul_(roots[some, None, None])

        share(fill, parts(len(patches), FEWEST, patches.device))
        return slopes

    def _averages(self) -> Iterator[tuple[slice, slice, Float[Tensor, "k r"]]]:
        """Rows and columns of positions that are read alike, and what phi' over its height is multiplied by."""
        (rows, cols), read = self.span, self.read.double() * (self._height or 1.0)
        for a, b in itertools.product(*map(range, read.shape[2:])):
            yield slice(a * rows, (a + 1) * rows), slice(b * cols, (b + 1) * cols), read[:, :, a, b]

    def _fitting(self, images: Float[Tensor, "n c h w"]) -> int:
        """Of how many images patches and answers may be alive."""
        field = self.read.shape[1] * math.prod(self.span)
        patches = 2 * self.conv.filters.shape[1] * math.prod(map(self.conv.window.output_length, images.shape[-2:]))
        return min(max(1, CACHED // field), self.budget // 2 // (BYTES * (ALIVE * field + patches)))


def _add_bands(total: Float[Tensor, "r r"], slopes: Tensor, coef: Tensor, some: Iterator[slice]) -> None:
    for band in some:
        add_band(total, band, slopes, coef)
