"""Which pairs of positions a kernel's recursion keeps: each position with itself, or every position with every other.

Without pooling and with a `Flatten` readout only equal positions (u, u) of two images ever meet, so the covariance of a
pair of images is one small picture. Pooling and global readouts couple positions: then all pairs (u, v) are kept.

A *field* is `(..., rows, cols)` in the first case and `(..., rows, cols, rows', cols')` in the second; leading axes
count images. The *own* field of an image is its covariance with itself.
"""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from ...maths.window_means import EACH_OF_A_PAIR, POSITION_PAIRS, POSITIONS, AxisGroups
from ..activations.activation import Activation
from ..architecture import Architecture
from ..layers import Flatten, GlobalAvgPool

Field = Float[Tensor, "..."]
Channels = Float[Tensor, "n r rows cols"]
Others = Float[Tensor, "m r rows cols"]


@runtime_checkable
class Geometry(Protocol):
    """The operations on fields that depend on which pairs of positions are kept."""

    windows: AxisGroups
    pools: AxisGroups

    def products(self, x: Channels, z: Others) -> Field:
        """Inner products over channels, for every image of x with every image of z."""

    def own_products(self, x: Channels) -> Field:
        """Inner products over channels, for every image with itself."""

    def variances(self, own: Field) -> Field:
        """The part `(..., rows, cols)` of an own field at equal positions, as a view."""

    def facing(self, qx: Field, qz: Field) -> tuple[Field, Field]:
        """Variances `(..., rows, cols)` of both sides, shaped to broadcast against a field."""

    def sum_over_partner(self, field: Field) -> Field:
        """The sum over the positions of the second image, `(..., rows, cols)`."""

    def own_dual(self, activation: Activation, own: Field) -> tuple[Field, Field]:
        """K and k0 of an own field, exact at equal positions."""

    def own_pullback(self, activation: Activation, own: Field, K_bar: Field) -> Field:
        """The adjoint of an own field from that of its K, its variances included."""

    def mean(self, field: Field, readout: Flatten | GlobalAvgPool) -> Field:
        """The mean over the positions that the readout compares: one number for every leading index."""

    def mean_transpose(self, readout: Flatten | GlobalAvgPool, rows: int, cols: int, like: Tensor) -> Field:
        """The field whose inner product with another is its `mean`."""

    def contract(
        self, weights: Field, patches: Channels, dual_coef: Float[Tensor, "n k"]
    ) -> Float[Tensor, "positions m k r"]:
        """The sum over images i of the second batch, and their positions, of dual_coef[i] weights[:, i] patches[i]."""

    def add_own_contraction(self, weights: Field, patches: Channels, total: Float[Tensor, "positions n k r"]) -> None:
        """Add the same for weights `(n, k, *positions)` of every image with itself."""


class EqualPositions:
    """Fields `(..., rows, cols)`: position u of one image meets position u of the other."""

    windows = POSITIONS
    pools: AxisGroups = ()

    @override
    def products(self, x: Channels, z: Others) -> Field:
        rows, cols = x.shape[-2:]
        a, b = x.flatten(2).permute(2, 0, 1), z.flatten(2).permute(2, 1, 0)
        return torch.bmm(a, b).permute(1, 2, 0).reshape(len(x), len(z), rows, cols)

    @override
    def own_products(self, x: Channels) -> Field:
        return x.square().sum(1)

    @override
    def variances(self, own: Field) -> Field:
        return own

    @override
    def facing(self, qx: Field, qz: Field) -> tuple[Field, Field]:
        return qx, qz

    @override
    def sum_over_partner(self, field: Field) -> Field:
        return field

    @override
    def own_dual(self, activation: Activation, own: Field) -> tuple[Field, Field]:
        return activation.on_diagonal(own)

    @override
    def own_pullback(self, activation: Activation, own: Field, K_bar: Field) -> Field:
        return K_bar * activation.diagonal_slope(own)

    @override
    def mean(self, field: Field, readout: Flatten | GlobalAvgPool) -> Field:
        return field.mean((-2, -1))

    @override
    def mean_transpose(self, readout: Flatten | GlobalAvgPool, rows: int, cols: int, like: Tensor) -> Field:
        return like.new_full((rows, cols), 1 / (rows * cols))

    @override
    def contract(
        self, weights: Field, patches: Channels, dual_coef: Float[Tensor, "n k"]
    ) -> Float[Tensor, "positions m k r"]:
        by_position = weights.flatten(2).permute(2, 0, 1).contiguous()
        flat = patches.flatten(2).permute(2, 0, 1).contiguous()
        sums = [torch.bmm(by_position, flat * coef[:, None]) for coef in dual_coef.T]
        return torch.stack(sums, 2)

    @override
    def add_own_contraction(self, weights: Field, patches: Channels, total: Float[Tensor, "positions n k r"]) -> None:
        by_position, flat = weights.flatten(2).permute(2, 0, 1), patches.flatten(2).permute(2, 0, 1)
        total.addcmul_(by_position[..., None], flat[:, :, None])


class PositionPairs:
    """Fields `(..., rows, cols, rows', cols')`: every position of one image meets every position of the other."""

    windows = POSITION_PAIRS
    pools = EACH_OF_A_PAIR

    @override
    def products(self, x: Channels, z: Others) -> Field:
        return torch.einsum("icpq,jcrs->ijpqrs", x, z)

    @override
    def own_products(self, x: Channels) -> Field:
        return torch.einsum("icpq,icrs->ipqrs", x, x)

    @override
    def variances(self, own: Field) -> Field:
        return own.diagonal(dim1=-4, dim2=-2).diagonal(dim1=-3, dim2=-2)

    @override
    def facing(self, qx: Field, qz: Field) -> tuple[Field, Field]:
        return qx[..., None, None], qz[..., None, None, :, :]

    @override
    def sum_over_partner(self, field: Field) -> Field:
        return field.sum((-2, -1))

    @override
    def own_dual(self, activation: Activation, own: Field) -> tuple[Field, Field]:
        q = self.variances(own)
        # At equal positions the angle is 0, where its derivative is infinite: kept out of the way of autograd.
        apart = own.clone()
        self.variances(apart).zero_()
        fields = [field.clone() for field in activation.dual(apart, *self.facing(q, q))]
        for field, exact in zip(fields, activation.on_diagonal(q), strict=True):
            self.variances(field).copy_(exact)
        return fields[0], fields[1]

    @override
    def own_pullback(self, activation: Activation, own: Field, K_bar: Field) -> Field:
        q = self.variances(own)
        own_bar, q_bar = activation.pullback(own, *self.facing(q, q), K_bar, None)
        self.variances(q_bar).zero_()
        at_equal = self.variances(K_bar) * activation.diagonal_slope(q)
        self.variances(own_bar).copy_(at_equal + 2 * self.sum_over_partner(q_bar))
        return own_bar

    @override
    def mean(self, field: Field, readout: Flatten | GlobalAvgPool) -> Field:
        if isinstance(readout, Flatten):
            return self.variances(field).mean((-2, -1))
        return field.mean((-4, -3, -2, -1))

    @override
    def mean_transpose(self, readout: Flatten | GlobalAvgPool, rows: int, cols: int, like: Tensor) -> Field:
        count = rows * cols
        if isinstance(readout, Flatten):
            return torch.eye(count, dtype=like.dtype, device=like.device).div_(count).reshape(rows, cols, rows, cols)
        return like.new_full((rows, cols, rows, cols), 1 / count**2)

    @override
    def contract(
        self, weights: Field, patches: Channels, dual_coef: Float[Tensor, "n k"]
    ) -> Float[Tensor, "positions m k r"]:
        met = torch.einsum("xiuv,irv->xiru", weights.flatten(-2).flatten(2, 3), patches.flatten(2))
        return torch.einsum("xiru,ik->uxkr", met, dual_coef)

    @override
    def add_own_contraction(self, weights: Field, patches: Channels, total: Float[Tensor, "positions n k r"]) -> None:
        total += torch.einsum("nkuv,nrv->unkr", weights.flatten(-2).flatten(2, 3), patches.flatten(2))


def geometry_of(architecture: Architecture) -> Geometry:
    """The smallest geometry on which this architecture's recursion closes."""
    return PositionPairs() if architecture.couples_positions else EqualPositions()
