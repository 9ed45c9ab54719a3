"""A batch of images as compiled code reads it: one by one on the left of a pair, sixteen side by side on the right."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from ....maths.patches import filter_patches, unfold_patches
from ....maths.window_means import pad
from ...lanes.vectors import LANES
from ...recursion.recursion import Embedding, Recursion, patch_entries
from ...threads import share
from ...tiling import blocks
from .duals import norm_and_inverse_root

TOGETHER = 4  # images on the left that share every load of those on the right
CACHE_BYTES = 1 << 21  # of one part's intermediate results

Numbers = npt.NDArray[np.floating]


class Side(NamedTuple):
    """One side of all pairs, flat arrays.

    Attributes:
        channels: on the left, coefficients `(n, positions, taps)`; on the right, places `(blocks, places, LANES)`.
        norms, inverses: `(n, norms)` or `(blocks, norms, LANES)`; see `LaneActivation`.
    """

    channels: Numbers
    norms: Numbers
    inverses: Numbers


class Taps(NamedTuple):
    """Where the first covariance reads an image on the right: tap k of position u is place places[u] + offsets[k].

    Attributes:
        places: `(positions,)`.
        offsets: `(taps,)`.
        stored: how many places an image has.
        scale: factor on the inner product of coefficients and places.
        bias: what is added to it.
    """

    places: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    stored: int
    scale: np.floating
    bias: np.floating


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
        """One image after the other."""
        rows, cols = self.images.shape[-2:]
        if not self.from_pixels:
            rows, cols = self.recursion.architecture.grids(rows, cols)[0]
        coefficients = self.images.new_empty(len(self.images), rows * cols, len(self.taps.offsets))

        def fill(parts: Iterator[slice]) -> None:
            for part in parts:
                coefficients[part] = self._coefficients(part).flatten(2).transpose(1, 2)

        share(fill, parts_in_cache(self.images, coefficients[0].numel()))
        norms, inverses = self._norms
        return _side(coefficients, norms, inverses)

    @cached_property
    def right(self) -> Side:
        """Sixteen images side by side, for an even number of blocks."""
        places = self.patches_side_by_side if self._has_low_rank else _side_by_side(self._planes)
        norms, inverses = self._norms
        return _side(places, _side_by_side(norms), _side_by_side(inverses))

    @cached_property
    def patches_side_by_side(self) -> Float[Tensor, "blocks positions entries lanes"]:
        """The embedded patches on the right, with zeros after the last entry up to a multiple of four."""
        by_position = self.contracted.flatten(2).transpose(1, 2)
        missing = -by_position.shape[2] % TOGETHER
        return _side_by_side(functional.pad(by_position, (0, missing)) if missing else by_position)

    @cached_property
    def taps(self) -> Taps:
        """Where `left` finds the entries of `right`."""
        conv, grid = self.recursion.architecture.first, self.images.shape[-2:]
        rows, cols = grid if self.from_pixels else self.recursion.architecture.grids(*grid)[0]
        scale, bias = conv.weight_std**2 / patch_entries(self.recursion, self.images), conv.bias_std**2
        if self._has_low_rank:
            offsets = torch.arange(self.contracted.shape[1])
            apart = len(offsets) + -len(offsets) % TOGETHER
            return self._taps(torch.arange(rows * cols) * apart, offsets, rows * cols * apart, scale, bias)
        channels, height, width = self._planes.shape[1:]
        stride, size = (1, 1) if self.from_pixels else (conv.stride, conv.size)
        if self.from_pixels:
            scale, bias = 1 / channels, 0.0
        down, across, within = torch.arange(rows) * stride, torch.arange(cols) * stride, torch.arange(size)
        places = down[:, None] * width + across
        offsets = (torch.arange(channels) * (height * width))[:, None, None] + within[:, None] * width + within
        return self._taps(places.flatten(), offsets.flatten(), channels * height * width, scale, bias)

    def _taps(self, places: Tensor, offsets: Tensor, stored: int, scale: float, bias: float) -> Taps:
        number = self.images.numpy().dtype.type
        return Taps(places.numpy(), offsets.numpy(), stored, number(scale), number(bias))

    @property
    def _has_low_rank(self) -> bool:
        """Whether products are taken of the few entries of L x[u]."""
        return self.factor is not None and has_low_rank(self.factor)

    def _coefficients(self, part: slice) -> Float[Tensor, "n taps rows cols"]:
        if self.from_pixels:
            return self.images[part]
        if self._has_low_rank:
            return self.contracted[part]
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
        norms, inverses = ([of_layer[side].flatten(1) for of_layer in shares] for side in range(2))
        empty = self.images.new_empty(len(self.images), 0)
        return torch.cat([empty, *norms], 1), torch.cat([empty, *inverses], 1)


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
        self._made: tuple[LaneEmbedding, Side] | None = None

    def __call__(self, x: LaneEmbedding) -> Side:
        """The left side of these images."""
        if self._made is None or self._made[0] is not x:
            self._made = None  # its memory serves again
            self._made = x, x.left()
        return self._made[1]


def parts_in_cache(images: Float[Tensor, "n c h w"], entries: int) -> list[slice]:
    """Images in parts whose intermediate results, so many entries each, fit the cache and need no fresh memory."""
    return blocks(len(images), CACHE_BYTES // (entries * images.element_size()))


def add_variance_adjoints(adjoints: Float[Tensor, "n norms k"], variances: Sequence[Float[Tensor, "n k _ _"]]) -> None:
    """Add the adjoints of all activations' variances, one after the other, to those of each."""
    at = 0
    for of_layer in variances:
        positions = of_layer[0, 0].numel()
        of_layer += adjoints[:, at : at + positions].transpose(1, 2).reshape(of_layer.shape)
        at += positions


def has_low_rank(factor: Float[Tensor, "r d"]) -> bool:
    """Whether L x[u] is worth having: r numbers for each position in place of those of a pixel or d of a patch."""
    return 2 * len(factor) <= factor.shape[1]


def _side(channels: Tensor, norms: Tensor, inverses: Tensor) -> Side:
    return Side(channels.flatten().numpy(), norms.flatten().numpy(), inverses.flatten().numpy())


def _side_by_side(t: Float[Tensor, "n ..."]) -> Float[Tensor, "blocks ... lanes"]:
    """Sixteen images side by side, and zeros where there are no more, for an even number of blocks."""
    out = t.new_zeros(2 * -(-len(t) // (2 * LANES)), *t.shape[1:], LANES)
    for block, some in zip(out, blocks(len(t), LANES), strict=False):
        block.movedim(-1, 0)[: some.stop - some.start] = t[some]
    return out
