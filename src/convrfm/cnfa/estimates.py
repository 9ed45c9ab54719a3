"""Correlations between CNFM and AGOP with their errors, from a layer's moments."""

from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..maths.bootstrap import correlation_interval, resampling_weights
from ..maths.jackknife import jackknife, leave_one_out_means
from ..maths.psd import psd_power
from ..maths.similarity import Similarity, core_similarity, similarity_from_sums
from ..maths.spectra import RowSpace
from .moments import Moments


@dataclass(frozen=True)
class Estimate:
    """A correlation and what is known of its error.

    Attributes:
        value: Corrected for the bias of a few probes where there were probes.
        bias: What probing had added, by jackknife over probes; None if the outputs were summed exactly.
        standard_error: Of probing, by jackknife over probes; for the rotation control the standard deviation of its
            draws.
        interval: Bootstrap interval over images, corrected for the bias of few images; it covers the error of probing
            too.
    """

    value: float
    bias: float | None = None
    standard_error: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Comparison:
    """A CNFM against an AGOP, or against another CNFM.

    Attributes:
        cosine: Uncentered correlation of all entries.
        pearson: Centered correlation of all entries.
        cosine_half: Cosine with the AGOP to the power 1/2; None where no AGOP is compared.
        pearson_half: Pearson with the AGOP to the power 1/2.
    """

    cosine: Estimate
    pearson: Estimate
    cosine_half: Estimate | None = None
    pearson_half: Estimate | None = None

    def to_dict(self) -> dict[str, dict[str, float | None] | None]:
        """Plain data, field by field."""
        return asdict(self)


@dataclass(frozen=True)
class Bootstrap:
    """How to resample the images.

    Attributes:
        draws: Number of resamples; 0 for no intervals.
        level: Coverage of the intervals.
        generator: Where the resamples come from.
    """

    draws: int
    level: float
    generator: torch.Generator


class CoreComparison:
    """Similarity between the CNFM of a row space and AGOPs given by their cores in it."""

    def __init__(self, row_space: RowSpace) -> None:
        self.cnfm = row_space.cnfm_core
        self.ones = row_space.ones
        groups, _, d = row_space.right.shape
        self.n_entries = groups * d**2

    def similarity(self, cores: Float[Tensor, "*batch groups r r"]) -> Similarity:
        """With the AGOP itself."""
        return core_similarity(self.cnfm, cores, self.ones, self.n_entries)

    def similarity_half(self, cores: Float[Tensor, "*batch groups r r"]) -> Similarity:
        """With its square root."""
        return self.similarity(psd_power(cores, 0.5))

    def resampled(
        self, parts: Float[Tensor, "n_parts groups r r"], weights: Float[Tensor, "draws n_parts"]
    ) -> Similarity:
        """With the weighted sums of parts, one similarity for each row of weights.

        A norm of a sum of AGOPs is a quadratic form in the weights, so that no sum is ever formed: only the inner
        products of the parts among themselves and with the CNFM.
        """
        flat = parts.double().flatten(1)
        gram = flat @ flat.mT
        inner = weights @ (flat @ self.cnfm.flatten())
        square = torch.einsum("ap,pq,aq->a", weights, gram, weights)
        total = weights @ torch.einsum("gr,pgrs,gs->p", self.ones, parts.double(), self.ones)
        of_cnfm = torch.einsum("gr,grs,gs->", self.ones, self.cnfm, self.ones)
        return similarity_from_sums(inner, (self.cnfm.square().sum(), square), (of_cnfm, total), self.n_entries)


def compare(moments: Moments, bootstrap: Bootstrap | None) -> Comparison:
    """The CNFM of a layer against its AGOP: powers 1 and 1/2, errors of probing, interval over images."""
    comparison = CoreComparison(moments.row_space)
    core = moments.row_space.core(moments.covariance)
    whole = comparison.similarity(core)
    half = comparison.similarity_half(core)
    if moments.probes is not None and len(moments.probes) > 1:
        left_out = leave_one_out_means(moments.probes.double())
        estimates = [
            _jackknifed(plain, reduced)
            for plain, reduced in zip(
                (*whole, *half),
                (*comparison.similarity(left_out), *comparison.similarity_half(left_out)),
                strict=True,
            )
        ]
    else:
        estimates = [Estimate(float(plain)) for plain in (*whole, *half)]
    if bootstrap is not None and bootstrap.draws and moments.parts is not None:
        weights = resampling_weights(len(moments.parts), bootstrap.draws, bootstrap.generator)
        resampled = comparison.resampled(moments.parts, weights)
        for place in range(2):
            interval = correlation_interval(whole[place], resampled[place], bootstrap.level)
            estimates[place] = Estimate(
                estimates[place].value, estimates[place].bias, estimates[place].standard_error, interval
            )
    return Comparison(*estimates)


def _jackknifed(plain: Tensor, left_out: Tensor) -> Estimate:
    value, bias, error = jackknife(plain, left_out)
    return Estimate(float(value), float(bias), float(error))
