"""The reference engine: the recursion in plain torch, any device, float32 or float64, for the whole family."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from ...maths.window_means import window_mean
from ..layers import AvgPool, Conv
from ..recursion.geometry import Field
from ..recursion.recursion import (
    Embedding,
    Images,
    Recursion,
    affine_window_mean,
    embed,
    first_covariance,
    transposed_layer,
)
from ..threads import in_order, share
from ..tiling import tiles
from .own_by_recursion import OwnByRecursion
from .protocol import Engine, Gradient, Patches

CACHE_BYTES = 1 << 24  # tiles larger than this leave the processor's cache and slow down
ARRAYS_FORWARD = 8  # temporaries of one field's size that are alive at once
ARRAYS_BACKWARD = 16


@dataclass(frozen=True)
class _Met:
    """What an activation met on the way forward, kept for the way back."""

    S: Field
    T: Field | None
    qx: Field
    qz: Field
    k0: Field


class ReferenceEngine(Engine):
    """Plain torch: slow, general, and the oracle of the others."""

    name = "reference"

    @override
    def obstacle(self, recursion: Recursion, device: torch.device, dtype: torch.dtype) -> str | None:
        return None

    @override
    def bind(self, recursion: Recursion, budget: int) -> "BoundReference":
        return BoundReference(recursion, budget)


class BoundReference(OwnByRecursion[Embedding]):
    """The reference engine for one recursion."""

    @override
    def embed(self, images: Images, factor: Float[Tensor, "r d"] | None, *, patches: Patches) -> Embedding:
        return embed(self.recursion, images, factor, with_patches=patches != "unused")

    @override
    def kernel(self, x: Embedding, z: Embedding) -> Float[Tensor, "n_x n_z"]:
        out = x.images.new_empty(len(x.images), len(z.images))
        pairs, at_once = self._pairs_at_once(x.images, ARRAYS_FORWARD)
        cut = list(tiles(len(x.images), len(z.images), pairs, symmetric=z is x))
        fields = in_order(lambda tile: _forward(self.recursion, x.part(tile[0]), z.part(tile[1]), None), cut, at_once)
        for (rows, cols), field in zip(cut, fields, strict=True):
            out[rows, cols] = field
        return out

    @override
    def add_gradient(self, x: Embedding, z: Embedding, dual_coef: Float[Tensor, "n_z k"], total: Gradient) -> None:
        pairs, at_once = self._pairs_at_once(x.images, ARRAYS_BACKWARD + 3 * len(x.variances))
        cut = tiles(len(x.images), len(z.images), pairs, symmetric=False)
        by_rows = [list(of_rows) for _, of_rows in groupby(cut, key=itemgetter(0))]

        def add(some: Iterator[list[tuple[slice, slice]]]) -> None:
            for rows, cols in chain.from_iterable(some):
                _add_tile(self.recursion, x.part(rows), z.part(cols), dual_coef[cols], rows, total)

        share(add, by_rows, at_once)

    def _pairs_at_once(self, images: Tensor, arrays: int) -> tuple[int, int]:
        """How many pairs of images one tile may hold, and how many tiles there may be at once."""
        rows, cols = images.shape[-2:]
        grids = [(rows, cols), *self.recursion.architecture.grids(rows, cols)]
        exponent = 2 if self.recursion.architecture.couples_positions else 1
        pair_bytes = max((r * c) ** exponent for r, c in grids) * images.element_size() * arrays
        limit = self.budget if images.is_cuda else min(self.budget, CACHE_BYTES)
        return max(1, limit // pair_bytes), max(1, self.budget // max(limit, pair_bytes))


def _add_tile(
    recursion: Recursion, x: Embedding, z: Embedding, coef: Float[Tensor, "n_z k"], rows: slice, total: Gradient
) -> None:
    """Add a tile's share of the gradient at the images `rows`."""
    met: list[_Met] = []
    _forward(recursion, x, z, met)
    S_bar, q_adjoints = _backward(recursion, met, x.images)
    if not met:  # a linear network's adjoint is the same for all pairs
        S_bar = S_bar.expand(len(x.images), len(z.images), *S_bar.shape)
    total.patches[:, rows] += recursion.geometry.contract(S_bar, z.contracted, coef)
    for of_level, q_bar in zip(total.variances, q_adjoints, strict=True):
        of_level[rows] += torch.einsum("xipq,ik->xkpq", q_bar, coef)


def _forward(recursion: Recursion, x: Embedding, z: Embedding, met: list[_Met] | None) -> Tensor:
    """The kernel of a tile; appends what each activation met to `met`."""
    geometry, readout = recursion.geometry, recursion.architecture.readout
    S = first_covariance(recursion, x, z)
    T = S if recursion.tangent else None
    variances = iter(zip(x.variances, z.variances, strict=True))
    for layer in recursion.architecture.hidden:
        if isinstance(layer, Conv):
            S = affine_window_mean(S, layer, geometry)
            if T is not None:
                T = S + layer.weight_std**2 * window_mean(T, layer.window, geometry.windows)
        elif isinstance(layer, AvgPool):
            S = window_mean(S, layer.window, geometry.pools)
            T = None if T is None else window_mean(T, layer.window, geometry.pools)
        else:
            of_x, of_z = next(variances)
            qx, qz = geometry.facing(of_x[:, None], of_z[None])
            K, k0 = layer.dual(S, qx, qz)
            if met is not None:
                met.append(_Met(S, T, qx, qz, k0))
            S, T = K, None if T is None else T * k0
    field = S if T is None else S + T
    return geometry.mean(field, readout) * readout.weight_std**2 + readout.bias_std**2


def _backward(recursion: Recursion, met: Sequence[_Met], images: Tensor) -> tuple[Field, list[Field]]:
    """The adjoints of the first covariance and of each of x's variances, for every pair of a tile."""
    geometry, architecture = recursion.geometry, recursion.architecture
    grids = architecture.grids(*images.shape[-2:])
    readout = architecture.readout
    seed = geometry.mean_transpose(readout, *grids[-1], images) * readout.weight_std**2
    K_bar: Field = seed
    T_bar: Field | None = seed if recursion.tangent else None
    q_adjoints: list[Field] = []
    waiting = list(met)
    for layer, grid in zip(reversed(architecture.hidden), reversed(grids[:-1]), strict=True):
        if isinstance(layer, Conv):
            total = K_bar if T_bar is None else K_bar + T_bar
            K_bar = transposed_layer(total, layer, geometry, grid)
            T_bar = None if T_bar is None else transposed_layer(T_bar, layer, geometry, grid)
        elif isinstance(layer, AvgPool):
            K_bar = transposed_layer(K_bar, layer, geometry, grid)
            T_bar = None if T_bar is None else transposed_layer(T_bar, layer, geometry, grid)
        else:
            at = waiting.pop()
            k0_bar = None if T_bar is None or at.T is None else T_bar * at.T
            K_bar, q_bar = layer.pullback(at.S, at.qx, at.qz, K_bar, k0_bar)
            q_adjoints.append(geometry.sum_over_partner(q_bar))
            T_bar = None if T_bar is None else T_bar * at.k0
    S_bar = K_bar if T_bar is None else K_bar + T_bar
    return S_bar, q_adjoints[::-1]
