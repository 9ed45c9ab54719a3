"""Networks of any shape, layer by layer: tiles of the kernel and of its adjoints."""

import math
from dataclasses import dataclass, replace

import torch
import triton
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from ...activations.activation import Activation
from ...activations.piecewise_linear import PiecewiseLinear
from ...layers import AvgPool, Conv, Flatten
from ...recursion.recursion import Recursion
from ...tiling import tiles
from ..protocol import Gradient
from .layer_programs import BLOCK, activate, add_up_windows, pull_back_activation
from .runs import dual_constants
from .sides import BoundSides, CudaEmbedding, first_covariance, pairs_within
from .taps import transposed_taps, window_taps

Field = Float[Tensor, "places n_x n_z"]
Behind = Float[Tensor, "places_behind n_x n_z"]
GRID = 2**16 - 1  # programs along the second axis, at most
AT_ONCE = 12  # fields alive, those of torch's own formulas for other activations than ReLU's kind included


class BoundLayers(BoundSides):
    """The cuda engine for one network; a place is a position, or where these are coupled a pair of them."""

    @override
    def kernel(self, x: CudaEmbedding, z: CudaEmbedding) -> Float[Tensor, "n_x n_z"]:
        out = x.images.new_empty(len(x.images), len(z.images))
        places = self._places(x)
        pairs = self._pairs(places, AT_ONCE * places)
        for rows, cols in tiles(len(x.images), len(z.images), pairs, symmetric=z is x):
            out[rows, cols] = _Tile(self.recursion, x, z, rows, cols).forward()
        return out

    @override
    def add_gradient(
        self, x: CudaEmbedding, z: CudaEmbedding, dual_coef: Float[Tensor, "n_z k"], total: Gradient
    ) -> None:
        places = self._places(x)
        pairs = self._pairs(places, (AT_ONCE + 3 * len(x.variances)) * places)
        for rows, cols in tiles(len(x.images), len(z.images), pairs, symmetric=False):
            S_bar, q_adjoints = _Tile(self.recursion, x, z, rows, cols).adjoints()
            for of_level, q_bar in zip(total.variances, q_adjoints, strict=True):
                adjoints = (q_bar @ dual_coef[cols]).permute(1, 2, 0)
                of_level[rows] += adjoints.unflatten(2, of_level.shape[2:])
            partners = torch.einsum("vrj,jk->vjkr", z.side[:, :, cols], dual_coef[cols])
            if self.recursion.architecture.couples_positions:
                total.patches[:, rows] += torch.einsum(
                    "uvij,vjkr->uikr", S_bar.unflatten(0, (len(partners), -1)), partners
                )
            else:
                total.patches[:, rows].flatten(2).baddbmm_(S_bar, partners.flatten(2))

    def _pairs(self, places: int, numbers: int) -> int:
        """Of images in one tile, as the budget and a grid allow."""
        return min(pairs_within(self.budget, places, numbers), BLOCK * GRID)

    def _places(self, x: CudaEmbedding) -> int:
        """Of the largest field."""
        architecture = self.recursion.architecture
        positions = max(rows * cols for rows, cols in architecture.grids(*x.images.shape[-2:]))
        return positions**2 if architecture.couples_positions else positions


@dataclass(frozen=True)
class _Met:
    """What an activation met on the way forward; k0 where torch computed it."""

    S: Field
    T: Field
    k0: Tensor | None


class _Tile:
    """Some pairs of images on their way through the layers."""

    def __init__(self, recursion: Recursion, x: CudaEmbedding, z: CudaEmbedding, rows: slice, cols: slice) -> None:
        self._recursion, self._x, self._z, self._rows, self._cols = recursion, x, z, rows, cols
        self._grids = recursion.architecture.grids(*x.images.shape[-2:])
        self._paired = recursion.architecture.couples_positions
        self._n_x, self._n_z = rows.stop - rows.start, cols.stop - cols.start
        self._met: list[_Met] = []

    def forward(self, *, remember: bool = False) -> Float[Tensor, "n_x n_z"]:
        """The kernel of the pairs."""
        architecture, tangent = self._recursion.architecture, self._recursion.tangent
        S = T = first_covariance(self._recursion, self._x, self._z, self._rows, self._cols)
        level = 0
        for number, layer in enumerate(architecture.hidden):
            if isinstance(layer, Conv | AvgPool):
                S, T = self._windows(layer, number, S, T)
            else:
                met = _Met(S, T, None)
                S, T, k0 = self._activation(layer, level, S, T, in_place=not remember)
                self._met.append(replace(met, k0=k0))
                level += 1
        readout = architecture.readout
        field = S + T if tangent else S
        return self._seen(field).mean(0) * readout.weight_std**2 + readout.bias_std**2

    def adjoints(self) -> tuple[Field, list[Float[Tensor, "positions n_x n_z"]]]:
        """Of the first covariance, and of every variance of x; a forward pass comes first."""
        self.forward(remember=True)
        architecture, tangent = self._recursion.architecture, self._recursion.tangent
        rows, cols = self._grids[-1]
        shape = ((rows * cols) ** (2 if self._paired else 1), self._n_x, self._n_z)
        K_bar = self._x.images.new_zeros(shape)
        seen = self._seen(K_bar)
        seen += architecture.readout.weight_std**2 / len(seen)
        T_bar = K_bar.clone() if tangent else K_bar
        q_adjoints: list[Tensor] = []
        for number in reversed(range(len(architecture.hidden))):
            layer = architecture.hidden[number]
            if isinstance(layer, Conv | AvgPool):
                K_bar, T_bar = self._windows(layer, number, K_bar, T_bar, transposed=True)
            else:
                K_bar, T_bar, q_bar = self._pull_back(layer, len(self._met) - 1, K_bar, T_bar)
                q_adjoints.append(self._over_partners(q_bar))
        return K_bar + T_bar if tangent else K_bar, q_adjoints[::-1]

    def _windows(
        self, layer: Conv | AvgPool, number: int, S: Field, T: Field, *, transposed: bool = False
    ) -> tuple[Behind, Behind]:
        """Behind a convolution or a pooling; transposed: the adjoints in front of it."""
        conv = layer if isinstance(layer, Conv) else None
        before, after = (rows * cols for rows, cols in self._grids[number : number + 2])
        taps = window_taps(layer.window, *self._grids[number])
        if transposed:
            before, after, taps = after, before, transposed_taps(taps, before)
        tangent, power = self._recursion.tangent, 2 if self._paired else 1
        S_out, T_out = (S.new_empty(after**power, self._n_x, self._n_z) for _ in range(2))
        add_up_windows[(len(S_out), *self._blocks)](
            S, T, S_out, T_out, taps.to(S.device), self._n_x * self._n_z, before, after,
            layer.size**-2.0 * conv.weight_std**2 if conv else layer.size ** (-2.0 * power),
            conv.bias_std**2 if conv and not transposed else 0.0,
            TAPS=layer.size**2, PAIRED=self._paired, APART=self._paired and conv is None, TANGENT=tangent,
            SUMS_IN=conv is not None and transposed, SUMS_OUT=conv is not None and not transposed, BLOCK=BLOCK,
            enable_fp_fusion=True,
        )  # fmt: skip
        return S_out, T_out if tangent else S_out

    def _activation(
        self, layer: Activation, level: int, S: Field, T: Field, *, in_place: bool
    ) -> tuple[Field, Field, Tensor | None]:
        """K, T k0, and k0 where torch computes it."""
        tangent = self._recursion.tangent
        if not isinstance(layer, PiecewiseLinear):
            K, k0 = layer.dual(self._facing(S), *self._variances(level))
            K, k0 = K.reshape(S.shape), k0.reshape(S.shape)
            return K, T * k0 if tangent else K, k0
        kT = torch.empty_like(S) if tangent and (S is T or not in_place) else T
        K = S if in_place else torch.empty_like(S)
        activate[(len(S), *self._blocks)](
            S, T, K, kT, *self._norms(level), self._n_x, self._n_z, self._positions(level), *dual_constants(layer),
            PAIRED=self._paired, TANGENT=tangent, BLOCK=BLOCK, enable_fp_fusion=True,
        )  # fmt: skip
        return K, kT if tangent else K, None

    def _pull_back(self, layer: Activation, level: int, K_bar: Field, T_bar: Field) -> tuple[Field, Field, Field]:
        """Adjoints of S, of T and of x's variance."""
        met, tangent = self._met.pop(), self._recursion.tangent
        if not isinstance(layer, PiecewiseLinear):
            assert met.k0 is not None
            seen = None if not tangent else self._facing(T_bar * met.T)
            s_bar, q_bar = layer.pullback(self._facing(met.S), *self._variances(level), self._facing(K_bar), seen)
            return s_bar.reshape(K_bar.shape), T_bar * met.k0 if tangent else T_bar, q_bar.reshape(K_bar.shape)
        q_bar = torch.empty_like(K_bar)
        pull_back_activation[(len(K_bar), *self._blocks)](
            met.S, met.T, K_bar, T_bar, q_bar, *self._norms(level), self._n_x, self._n_z, self._positions(level),
            *dual_constants(layer), PAIRED=self._paired, TANGENT=tangent, BLOCK=BLOCK, enable_fp_fusion=True,
        )  # fmt: skip
        return K_bar, T_bar, q_bar

    @property
    def _blocks(self) -> tuple[int]:
        return (triton.cdiv(self._n_x * self._n_z, BLOCK),)

    def _positions(self, level: int) -> int:
        return self._x.variances[level][0].numel()

    def _norms(self, level: int) -> tuple[Tensor, Tensor, int, int]:
        """Their reciprocals, and how far it is from one position to the next."""
        start = sum(map(self._positions, range(level)))
        of_x, of_z = self._x.over[start:, self._rows], self._z.over[start:, self._cols]
        return of_x, of_z, of_x.stride(0), of_z.stride(0)

    def _variances(self, level: int) -> tuple[Tensor, Tensor]:
        """Of both sides, as torch broadcasts them against `_facing`."""
        qx = self._x.variances[level][self._rows].flatten(1).T[:, :, None]
        qz = self._z.variances[level][self._cols].flatten(1).T[:, None]
        return (qx[:, None], qz[None]) if self._paired else (qx, qz)

    def _facing(self, field: Field) -> Tensor:
        return field.unflatten(0, 2 * (math.isqrt(len(field)),)) if self._paired else field

    def _seen(self, field: Field) -> Float[Tensor, "seen n_x n_z"]:
        """The places that the readout compares, as a view."""
        if self._paired and isinstance(self._recursion.architecture.readout, Flatten):
            return field[:: math.isqrt(len(field)) + 1]
        return field

    def _over_partners(self, field: Field) -> Float[Tensor, "positions n_x n_z"]:
        """The sum over the positions of z."""
        return self._facing(field).sum(1) if self._paired else field
