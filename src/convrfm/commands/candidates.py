"""The models that `convrfm fit` compares: every kernel with every network, patch size and depth that options name."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

from ..errors import InputError
from ..estimators import ConvRFMClassifier, DeepConvRFMClassifier
from ..quantities import counted
from .choices import KernelName, Network
from .kernel_by_name import MYRTLE, Family

Candidate = TypeVar("Candidate")
Model = ConvRFMClassifier | DeepConvRFMClassifier


@dataclass(frozen=True)
class Candidates:
    """What a fit chooses from.

    Attributes:
        families: each once.
        depths: each once.
        deep: whether layers are stacked, with random features between them.
        filters: how many of those.
    """

    families: Sequence[Family]
    depths: Sequence[int]
    deep: bool
    filters: int

    @classmethod
    def of(
        cls,
        kernel: Sequence[KernelName],
        network: Sequence[Network],
        patch_size: Sequence[int],
        depth: Sequence[int],
        *,
        pool_size: int,
        bandwidth: float,
        deep: bool,
        filters: int,
    ) -> "Candidates":
        """Those of all values of the options; raises `InputError` where Myrtle is to be stacked."""
        if deep and set(network) & set(MYRTLE):
            raise InputError(
                "layers are stacked by kernels of every depth, and Myrtle has one: pass network=vanilla, average or global, or "
                "leave out deep=True."
            )
        families = [Family(k, p, bandwidth, n, pool_size) for k, n, p in product(kernel, network, patch_size)]
        return cls(
            list({family.name: family for family in families}.values()), list(dict.fromkeys(depth)), deep, filters
        )

    @property
    def names(self) -> list[str]:
        """What they are called, in the order in which they are fitted."""
        if self.deep:
            return [f"{family.name}, {counted(depth, 'layer')}" for family in self.families for depth in self.depths]
        return [f"{family.name}, depth {depth}" if depth else family.name for family, depth in self._shallow]

    def unfitted(self) -> Model:
        """One layer, or layer upon layer with the kernel of each layer's depth; the best candidate will be kept."""
        if self.deep:
            return DeepConvRFMClassifier(
                _one_or_all(self.families), depth=_one_or_all(self.depths), n_filters=self.filters
            )
        return ConvRFMClassifier(_one_or_all([family(depth or 1) for family, depth in self._shallow]))

    @property
    def _shallow(self) -> list[tuple[Family, int | None]]:
        depths: list[tuple[Family, int | None]] = []
        for family in self.families:
            depths += [(family, depth) for depth in self.depths] if family.has_depth else [(family, None)]
        return depths


def _one_or_all(candidates: Sequence[Candidate]) -> Candidate | Sequence[Candidate]:
    return candidates[0] if len(candidates) == 1 else candidates
