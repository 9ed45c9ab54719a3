"""A batch of images as compiled code reads it: one by one on the left of a pair, sixteen side by side on the right."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from ....maths.patches import filter_patches, unfold_patches
from ....maths.windows import pad
from ...lanes.vectors import LANES
from ...recursion.recursion import Embedding, Recursion, patch_entries
from ...threads import arrays, share
from ...tiling import blocks
from .duals import norm_and_inverse_root

TOGETHER = 4  # images on the left that share every load of those on the right
CACHE_BYTES = 1 << 21  # of one part's intermediate results

Side = tuple[Float[Tensor, " entries"], Float[Tensor, " norms"], Float[Tensor, " norms"]]


@dataclass(frozen=True)
class Taps:
    """Where the first covariance reads an image on the right: tap k of position u is place places[u] + offsets[k].

    Attributes:
        places: `(positions,)`.
        offsets: `(taps,)`.
        stored: how many places an image has.
        scale: factor on the inner product of coefficients and places.
        bias: what is added to it.
    """

    places: Int[Tensor, " positions"]
    offsets: Int[Tensor, " taps"]
    stored: int
    scale: float
    bias: float


@dataclass(frozen=True, eq=False)
class LaneEmbedding(Embedding):
    """An embedding with the layouts of both sides, each made when first asked for.

    Attributes:
        recursion: what the images were embedded for.
        factor: the metric's factor L; None for the identity.
        from_pixels: whether the first covariance is a window mean of products of pixels, not products of patches.
    """

    recursion: Recursion
    factor: Float[Tensor, "rank d"] | None  # patches have as many entries where its rank is low, and d where it is not
    from_pixels: bool

    def left(self) -> Side:
        """Coefficients `(n, positions, taps)`, norms and inverse roots `(n, positions)`, flat."""
        rows, cols = self.images.shape[-2:]
        if not self.from_pixels:
            rows, cols = self.recursion.architecture.grids(rows, cols)[0]
        coefficients = self.images.new_empty(len(self.images), rows * cols, len(self.taps.offsets))

        def fill(parts: Iterator[slice]) -> None:
            for part in parts:
                coefficients[part] = self._coefficients(part).flatten(2).transpose(1, 2)

        share(fill, parts_in_cache(self.images, coefficients[0].numel()))
        return tuple(t.flatten() for t in (coefficients, *self._norms))  # type: ignore[return-value]

    @cached_property
    def right(self) -> Side:
        """Places, norms and inverse roots: `(blocks, entries, LANES)`, flat, for an even number of blocks."""
        places = self.patches_side_by_side if self._has_low_rank else _side_by_side(self._planes)
        norms, inverses = map(_side_by_side, self._norms)
        return places.flatten(), norms.flatten(), inverses.flatten()

    @cached_property
    def patches_side_by_side(self) -> Float[Tensor, "blocks positions entries lanes"]:
        """The embedded patches on the right, with zeros after the last entry up to a multiple of four."""
        assert self.patches is not None
        by_position = self.patches.flatten(2).transpose(1, 2)
        missing = -by_position.shape[2] % TOGETHER
        return _side_by_side(functional.pad(by_position, (0, missing)) if missing else by_position)

    @property
    def norms_of_an_image(self) -> int:
        """How many variances an image has, over all activations."""
        return sum(q[0].numel() for q in self.variances)

    @cached_property
    def taps(self) -> Taps:
        """Where `left` finds the entries of `right`."""
        conv, grid = self.recursion.architecture.first, self.images.shape[-2:]
        rows, cols = grid if self.from_pixels else self.recursion.architecture.grids(*grid)[0]
        scale, bias = conv.weight_std**2 / patch_entries(self.recursion, self.images), conv.bias_std**2
        if self._has_low_rank:
            assert self.patches is not None
            offsets = torch.arange(self.patches.shape[1])
            apart = len(offsets) + -len(offsets) % TOGETHER
            return Taps(torch.arange(rows * cols) * apart, offsets, rows * cols * apart, scale, bias)
        channels, height, width = self._planes.shape[1:]
        stride, size = (1, 1) if self.from_pixels else (conv.stride, conv.size)
        if self.from_pixels:
            scale, bias = 1 / channels, 0.0
        down, across, within = torch.arange(rows) * stride, torch.arange(cols) * stride, torch.arange(size)
        places = down[:, None] * width + across
        offsets = (torch.arange(channels) * (height * width))[:, None, None] + within[:, None] * width + within
        return Taps(places.flatten(), offsets.flatten(), channels * height * width, scale, bias)

    @property
    def _has_low_rank(self) -> bool:
        """Whether products are taken of the few entries of L x[u]."""
        return self.factor is not None and has_low_rank(self.factor)

    def _coefficients(self, part: slice) -> Float[Tensor, "n taps rows cols"]:
        if self.from_pixels:
            return self.images[part]
        if self._has_low_rank:
            assert self.patches is not None
            return self.patches[part]
        window = self.recursion.architecture.first.window
        if self._metric is None:
            return unfold_patches(self.images[part], window)
        return filter_patches(self.images[part], self._metric, window)

    @cached_property
    def _metric(self) -> Float[Tensor, "d d"] | None:
        return None if self.factor is None else self.factor.T @ self.factor

    @property
    def _planes(self) -> Float[Tensor, "n channels height width"]:
        return self.images if self.from_pixels else pad(self.images, self.recursion.architecture.first.window, (-2, -1))

    @cached_property
    def _norms(self) -> tuple[Float[Tensor, "n positions"], Float[Tensor, "n positions"]]:
        activations = self.recursion.architecture.activations
        shares = [norm_and_inverse_root(a, q) for a, q in zip(activations, self.variances, strict=True)]
        empty = self.images.new_empty(len(self.images), 0)
        norms, inverses = zip(*shares, strict=True) if shares else ((), ())
        return tuple(torch.cat([empty, *(t.flatten(1) for t in side)], 1) for side in (norms, inverses))  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class FlatEmbedding(LaneEmbedding):
    """Of images whose positions are not coupled.

    Attributes:
        own: each image's own covariance after the first convolution.
    """

    own: Float[Tensor, "n rows cols"]

    def patches_of(self, rows: slice) -> Float[Tensor, "positions n entries"]:
        """The patches at some rows of positions: L x[u] where L has a low rank, otherwise x[u], channels last.

        They come from the pixels where patches are not kept: copied while they are used, they stay in cache.
        """
        if self.patches is not None:
            return super().patches_of(rows)
        conv = self.recursion.architecture.first
        met = self._pixels[rows.start * conv.stride : (rows.stop - 1) * conv.stride + conv.size]
        windows = met.unfold(0, conv.size, conv.stride).unfold(1, conv.size, conv.stride)
        return windows.permute(0, 1, 2, 4, 5, 3).flatten(3).flatten(0, 1)

    def with_patches(self) -> "FlatEmbedding":
        """The same, with the patches x[u] of all positions kept."""
        rows, cols = self.recursion.architecture.grids(*self.images.shape[-2:])[0]
        return replace(self, patches=self.patches_of(slice(0, rows)).unflatten(0, (rows, cols)).permute(2, 3, 0, 1))

    @cached_property
    def _pixels(self) -> Float[Tensor, "height width n c"]:
        return pad(self.images, self.recursion.architecture.first.window, (-2, -1)).permute(2, 3, 0, 1).contiguous()


class LeftSide:
    """The left side of the images last asked for: it is large, and serves all their tiles before others come."""

    def __init__(self) -> None:
        self._made: tuple[LaneEmbedding, list[Any]] | None = None

    def __call__(self, x: LaneEmbedding) -> list[Any]:
        """Coefficients, norms and inverse roots, as numpy."""
        if self._made is None or self._made[0] is not x:
            self._made = None  # its memory serves again
            self._made = x, arrays(x.left())
        return self._made[1]


def parts_in_cache(images: Float[Tensor, "n c h w"], entries: int) -> list[slice]:
    """Images in parts whose intermediate results, so many entries each, fit the cache and need no fresh memory."""
    return blocks(len(images), CACHE_BYTES // (entries * images.element_size()))


def has_low_rank(factor: Float[Tensor, "r d"]) -> bool:
    """Whether L x[u] is worth having: r numbers for each position in place of those of a pixel or d of a patch."""
    return 2 * len(factor) <= factor.shape[1]


def _side_by_side(t: Float[Tensor, "n ..."]) -> Float[Tensor, "blocks ... lanes"]:
    """Sixteen images side by side, and zeros where there are no more, for an even number of blocks."""
    out = t.new_zeros(2 * -(-len(t) // (2 * LANES)), *t.shape[1:], LANES)
    for block, some in zip(out, blocks(len(t), LANES), strict=False):
        block.movedim(-1, 0)[: some.stop - some.start] = t[some]
    return out
