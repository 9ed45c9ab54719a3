"""What an image does alone, by the recursion as it is written: for engines that have no quicker way."""

from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from ..recursion.recursion import own_first_covariance, own_kernel, pull_back_variances
from .protocol import BoundEngine, EmbeddingT, Gradient

OWN_FIELDS = 4  # as large as all pairs of positions, alive at once for each output


class OwnByRecursion(BoundEngine[EmbeddingT]):
    """An engine whose images keep their patches and meet themselves in plain torch."""

    @override
    def diagonal(self, x: EmbeddingT) -> Float[Tensor, " n"]:
        return own_kernel(self.recursion, own_first_covariance(self.recursion, x))

    @override
    def add_own_gradient(self, x: EmbeddingT, total: Gradient) -> None:
        pull_back_variances(self.recursion, x, total.variances, total.patches)

    @override
    def embeds_patches(self, factor: Float[Tensor, "r d"] | None) -> bool:
        return True

    @override
    def own_entries(self, grid: tuple[int, int], outputs: int) -> int:
        architecture = self.recursion.architecture
        if not architecture.couples_positions:
            return 0
        return OWN_FIELDS * max(1, outputs) * max(r * c for r, c in [grid, *architecture.grids(*grid)]) ** 2
