"""What one pass over the data leaves of a layer: W, and the second moment G of the gradients at its output."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from ..maths.jackknife import leave_one_out_means
from ..maths.row_space_agop import Agops, Cores, Grams
from ..maths.spectra import RowSpace, effective_rank
from ..maths.symmetric import symmetric_product

PRODUCT_ENTRIES = 2**18
"""Parts are multiplied with each other this many of their entries at a time."""


PLAIN = (2.0**-40, 2.0**40)
"""Squares of entries of G in this range, times those of weights, are numbers in single precision."""


class PartSums(NamedTuple):
    """What resampling needs of the AGOPs of disjoint parts of the images.

    Attributes:
        gram: Inner products of the parts among themselves.
        inner: With the CNFM.
        total: Sums of their entries.
    """

    gram: Float[Tensor, "n_parts n_parts"]
    inner: Float[Tensor, " n_parts"]
    total: Float[Tensor, " n_parts"]


@dataclass(frozen=True)
class Gradients:
    """The gradients themselves, where they are fewer than the rows and columns of W.

    Attributes:
        columns: D of each group, with `G = D D^T`.
        part_of: To which part of the images each column belongs.
        n_parts: How many parts there are; some may have no columns.
        probe_of: From which probe it comes; None if the outputs were summed exactly.
    """

    columns: Float[Tensor, "groups rows m"]
    part_of: Int[Tensor, " m"]
    n_parts: int
    probe_of: Int[Tensor, " m"] | None


@dataclass(frozen=True)
class Moments:
    """A layer as measured. All tensors are on the CPU.

    Attributes:
        filters: W, one block a group.
        covariance: G, the mean over images of the sum over outputs, positions and uses of `delta delta^T`, in float64.
        gradients: What G is made of, where it is kept; then there are no parts and probes.
        parts: G of disjoint parts of the images, up to a scale; None if not kept. Of tall filters `W^T G W`.
        probes: G of each probe; None if the outputs were summed exactly. Of tall filters `W^T G W`.
        uses: how often the layer runs in one forward pass.
        final: True for the linear layer that makes the outputs, whose AGOP is its CNFM.
    """

    filters: Float[Tensor, "groups rows d"]
    covariance: Float[Tensor, "groups rows rows"]
    gradients: Gradients | None = None
    parts: Float[Tensor, "n_parts groups r r"] | None = None
    probes: Float[Tensor, "s groups r r"] | None = None
    uses: int = 1
    final: bool = False

    def normalized(self) -> "Moments":
        """G times a power of two, of which no sum of squares vanishes or overflows: all correlations are the same.

        Itself where G is in such a range already, or zero.
        """
        largest = float(self.covariance.abs().max())
        if not largest or PLAIN[0] <= largest <= PLAIN[1]:
            return self
        power = min(500, -round(math.log2(largest) / 2))  # whose square is a number

        def scaled(numbers: Tensor, by: int) -> Tensor:
            return (numbers.double() * 2.0**by).to(numbers)

        return replace(
            self,
            covariance=scaled(self.covariance, 2 * power),
            gradients=self.gradients and replace(self.gradients, columns=scaled(self.gradients.columns, power)),
            parts=None if self.parts is None else scaled(self.parts, 2 * power),
            probes=None if self.probes is None else scaled(self.probes, 2 * power),
        )

    @cached_property
    def row_space(self) -> RowSpace:
        """The filters' row space."""
        return RowSpace.of(self.filters)

    @cached_property
    def agop(self) -> Agops:
        """`W^T G W`."""
        return Cores(self.row_space.cnfm_core) if self.final else self.agop_with(self.row_space)

    def agop_with(self, space: RowSpace) -> Agops:
        """The same with other filters in the place of W, given by their row space."""
        if self.gradients is None:
            precision = torch.promote_types(self.filters.dtype, torch.float32)
            return Cores(space.core(self.covariance.to(precision)))
        return Grams.of(space.left.mT @ self.gradients.columns.double(), space)

    def left_out(self) -> Agops | None:
        """The AGOP without one probe, for each of them; None if there are fewer than two."""
        if self.gradients is not None and isinstance(self.agop, Grams):
            return _without_each_probe(self.agop, self.gradients.probe_of)
        if self.probes is None or len(self.probes) < 2:
            return None
        return Cores(leave_one_out_means(self._cores(self.probes)))

    def of_probes(self) -> Float[Tensor, "s groups r r"] | None:
        """G of each probe, whose mean is G; of tall filters `W^T G W`. None if the outputs were summed exactly."""
        if self.gradients is None or self.gradients.probe_of is None:
            return self.probes
        columns, probe_of = self.gradients.columns, self.gradients.probe_of
        rows, d = self.filters.shape[1:]
        columns = self.filters.to(columns).mT @ columns if rows > d else columns
        count = int(probe_of.max()) + 1
        return torch.stack([symmetric_product(columns[..., probe_of == probe]) * count for probe in range(count)])

    def part_sums(self) -> PartSums | None:
        """Of the parts of the images; None if there are fewer than two."""
        if self.gradients is not None and isinstance(self.agop, Grams):
            return _sums_of_columns(self.agop, self.gradients)
        if self.parts is None or len(self.parts) < 2:
            return None
        return _sums_of_parts(self.parts, self.row_space)

    def _cores(self, sums: Float[Tensor, "*batch groups r r"]) -> Float[Tensor, "*batch groups r r"]:
        rows, d = self.filters.shape[1:]
        return sums if rows > d else self.row_space.core(sums)


def final_moments(weight: Float[Tensor, "k d"]) -> Moments:
    """The linear layer that makes the outputs: delta of output o is the unit vector o, so G is the identity."""
    identity = torch.eye(weight.shape[0], dtype=torch.float64)
    return Moments(weight.unsqueeze(0).cpu(), identity.unsqueeze(0), final=True)


def effective_ranks(moments: Moments) -> dict[str, float]:
    """Participation ratios of CNFM, AGOP and G."""
    return {
        "cnfm": effective_rank(moments.row_space.cnfm_core),
        "agop": moments.agop.effective_rank,
        "delta": effective_rank(moments.covariance),
    }


def _without_each_probe(agop: Grams, probe_of: Int[Tensor, " m"] | None) -> Grams | None:
    if probe_of is None or (count := int(probe_of.max()) + 1) < 2:
        return None
    return agop.subsets(torch.stack([(probe_of != probe).nonzero().flatten() for probe in range(count)]))


def _sums_of_columns(agop: Grams, gradients: Gradients) -> PartSums | None:
    if gradients.n_parts < 2:
        return None
    members = one_hot(gradients.part_of, gradients.n_parts).T.double()
    inner = agop.by_cnfm.diagonal(dim1=-2, dim2=-1).sum(0)
    gram = members @ agop.gram.square().sum(0) @ members.T
    return PartSums(gram, members @ inner, members @ agop.totals.square().sum(0))


def _sums_of_parts(parts: Float[Tensor, "n_parts groups r r"], space: RowSpace) -> PartSums:
    """Of cores; or of parts P of G, for with `K = W W^T` the inner product of `W^T P W` and `W^T Q W` is `tr(P K Q K)`."""
    tall = space.left.shape[1] > space.left.shape[2]
    metric = (space.cnfm_core if tall else space.left @ space.left.mT).to(parts)
    ones = (space.ones if tall else (space.left @ space.ones.unsqueeze(-1)).squeeze(-1)).to(parts)
    turned = parts if tall else parts @ metric
    ours, theirs = turned.flatten(1), turned.mT.flatten(1)
    gram = torch.zeros(len(parts), len(parts), dtype=torch.float64)
    step = max(1, PRODUCT_ENTRIES // len(parts))
    for some, others in zip(ours.split(step, 1), theirs.split(step, 1), strict=True):
        gram += some.double() @ others.double().mT
    inner = (turned * metric).sum((1, 2, 3), dtype=torch.float64)
    return PartSums(gram, inner, torch.einsum("gr,ngrs,gs->n", ones, parts, ones).double())
