"""One layer of a report: W and G as measured; matrices of patches are formed when they are asked for."""

from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..maths.precision import full_precision
from ..maths.similarity import Similarity, similarity_from_sums
from ..maths.spectra import RowSpace, eigenpairs
from .estimates import Comparison
from .moments import Moments


@dataclass(frozen=True)
class Correlations:
    """The correlation of a layer's CNFM with its AGOP, and the controls beside it.

    Attributes:
        trained: CNFM against AGOP.
        rotated: The same with G rotated at random: what the algebra gives for free.
        initial: CNFM against AGOP of the initial network, on the same images; None if it was not given.
        initial_cnfm: Initial CNFM against trained CNFM.
        change: `W - W0` in the place of W.
    """

    trained: Comparison
    rotated: Comparison | None = None
    initial: Comparison | None = None
    initial_cnfm: Comparison | None = None
    change: Comparison | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data; None where a control was not taken."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: None if value is None else value.to_dict() for name, value in named.items()}


@dataclass(frozen=True)
class LayerReport:
    """A measured layer.

    Attributes:
        name: In `network.named_modules()`.
        kind: Its torch class, such as `Conv2d`.
        groups: Number of groups; matrices of patches are `(d, d)` for one group, `(groups, d, d)` for several.
        patch_shape: `(channels, *window)` of one group's patch; d is its product.
        filters: W, `(groups, rows, d)`.
        covariance: G, `(groups, rows, rows)`: mean over images, sum over outputs, positions and uses, of `delta
            delta^T`.
        initial_filters: W of the initial network, or None.
        initial_covariance: G of the initial network, or None.
        uses: How often the layer runs in one forward pass.
        final: True for the linear layer that makes the outputs: its AGOP is its CNFM by construction, so it does not
            count.
        effective_ranks: Participation ratios of CNFM ("cnfm"), AGOP ("agop") and G ("delta"): the whiter G is, the less
            a correlation says.
        correlations: CNFM against AGOP, with controls.
        probes: G of each probe, `(probes, groups, r, r)`, or `W^T G W` where W has more rows than columns: what merging
            needs, if it was asked for.
        initial_probes: Likewise of the initial network.
    """

    name: str
    kind: str
    groups: int
    patch_shape: tuple[int, ...]
    filters: Float[Tensor, "groups rows d"]
    covariance: Float[Tensor, "groups rows rows"]
    initial_filters: Float[Tensor, "groups rows d"] | None
    initial_covariance: Float[Tensor, "groups rows rows"] | None
    uses: int
    final: bool
    effective_ranks: dict[str, float]
    correlations: Correlations
    probes: Float[Tensor, "probes groups r r"] | None = None
    initial_probes: Float[Tensor, "probes groups r r"] | None = None

    def __repr__(self) -> str:
        """One line, without the tensors."""
        groups = f", {self.groups} groups" if self.groups > 1 else ""
        patch = " x ".join(map(str, self.patch_shape))
        trained = self.correlations.trained.pearson.value
        return f"LayerReport({self.name!r}, {self.kind}{groups}, patches of {patch}, Pearson {trained:.3f})"

    @property
    def cnfm(self) -> Float[Tensor, "*groups d d"]:
        """`W^T W`, the uncentered covariance of the filters (not divided by their number); in float32 at least."""
        return patch_matrix(self.filters)

    @property
    def agop(self) -> Float[Tensor, "*groups d d"]:
        """`W^T G W`: mean over images, sum over outputs and positions (Eq. 2 of the paper); in float32 at least."""
        return patch_matrix(self.filters, self.covariance)

    @property
    def initial_cnfm(self) -> Float[Tensor, "*groups d d"] | None:
        """`W0^T W0` of the initial network; None if it was not given."""
        return None if self.initial_filters is None else patch_matrix(self.initial_filters)

    @property
    def group_correlations(self) -> Similarity:
        """CNFM against AGOP within each group, `(groups,)` each; nan where a group's filters or gradients are zero."""
        space = RowSpace.of(self.filters)
        cores = [space.cnfm_core, space.core(Moments(self.filters, self.covariance.double()).normalized().covariance)]
        ones = space.ones.unsqueeze(-1)
        squares = [core.square().sum((-2, -1)) for core in cores]
        totals = [(ones.mT @ core @ ones).flatten() for core in cores]
        inner = (cores[0] * cores[1]).sum((-2, -1))
        return similarity_from_sums(
            inner, (squares[0], squares[1]), (totals[0], totals[1]), self.filters.shape[-1] ** 2
        )

    def eigenvectors(self, matrix: str, count: int) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
        """The leading eigenvalues, largest first, and their eigenvectors as patches.

        Args:
            matrix: "cnfm" or "agop".
            count: How many; fewer come back if W has fewer rows or columns.

        Returns:
            Eigenvalues `(count,)` and eigenvectors `(count, *patch_shape)`, with a leading axis of groups if there are
            several.
        """
        _, lengths, patches = torch.linalg.svd(self.factor(matrix).double(), full_matrices=False)
        values = lengths[..., :count].square()
        patches = patches[..., :count, :].unflatten(-1, self.patch_shape)
        return (values, patches) if self.groups > 1 else (values[0], patches[0])

    def factor(self, matrix: str) -> Float[Tensor, "groups rows d"]:
        """L with `L^T L` the matrix of each group: `|M^(1/2) h[u]| = |L h[u]|`, so its rows are filters."""
        if check_matrix(matrix) == "cnfm":
            return self.filters
        values, vectors = eigenpairs(self.covariance.double())
        return values.sqrt().unsqueeze(-1) * (vectors.mT @ self.filters.double())

    def to_dict(self) -> dict[str, Any]:
        """Everything but the tensors, as plain data."""
        return {
            "name": self.name,
            "kind": self.kind,
            "groups": self.groups,
            "patch_shape": list(self.patch_shape),
            "rows": self.filters.shape[1],
            "uses": self.uses,
            "final": self.final,
            "effective_ranks": self.effective_ranks,
            "correlations": self.correlations.to_dict(),
        }


@full_precision()
def patch_matrix(
    filters: Float[Tensor, "groups rows d"], covariance: Float[Tensor, "groups rows rows"] | None = None
) -> Float[Tensor, "*groups d d"]:
    """`W^T G W`, or `W^T W` without G, in float32 at least; of one group its block alone."""
    filters = filters.to(torch.promote_types(filters.dtype, torch.float32))
    left = filters.mT if covariance is None else filters.mT @ covariance.to(filters)
    blocks = left @ filters
    return blocks if len(blocks) > 1 else blocks[0]


def check_matrix(matrix: str) -> str:
    """Raise `InputError` unless it is the name of a matrix of patches."""
    if matrix not in ("cnfm", "agop"):
        raise InputError(f'matrix must be "cnfm" or "agop"; got {matrix!r}.')
    return matrix
