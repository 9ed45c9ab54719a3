"""Sixteen pairs of images at once through a pooled recursion, without the covariance of all their pairs of positions."""

from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from .....maths.patches import filter_patches, unfold_patches
from ....recursion.recursion import Images, Recursion
from ...protocol import BoundEngine, Gradient, Patches
from ..lane_embedding import LaneEmbedding, LeftSide
from .own_pairs import own_entries, own_variances, pull_back_own_variances
from .tiles import add_pair_gradient, pair_diagonal, pair_kernel, pair_symmetric_kernel


class BoundPooled(BoundEngine[LaneEmbedding]):
    """The cpu engine for one recursion that couples positions."""

    def __init__(self, recursion: Recursion, budget: int) -> None:
        super().__init__(recursion, budget)
        self._left_of = LeftSide()

    @override
    def embed(self, images: Images, factor: Float[Tensor, "r d"] | None, *, patches: Patches) -> LaneEmbedding:
        window = self.recursion.architecture.first.window
        filtered = None if factor is None else filter_patches(images, factor, window)
        variances = own_variances(self.recursion, images, filtered)
        kept = unfold_patches(images, window) if filtered is None and patches != "unused" else filtered
        return LaneEmbedding(images, kept, variances, self.recursion, factor, factor is None)

    @override
    def diagonal(self, x: LaneEmbedding) -> Float[Tensor, " n"]:
        return pair_diagonal(x, self._left_of(x), self.budget)

    @override
    def kernel(self, x: LaneEmbedding, z: LaneEmbedding) -> Float[Tensor, "n_x n_z"]:
        return pair_kernel(x, self._left_of(x), z, self.budget)

    @override
    def symmetric_kernel(self, x: LaneEmbedding) -> Float[Tensor, "n n"]:
        return pair_symmetric_kernel(x, self._left_of(x), self.budget)

    @override
    def add_gradient(
        self, x: LaneEmbedding, z: LaneEmbedding, dual_coef: Float[Tensor, "n_z k"], total: Gradient
    ) -> None:
        add_pair_gradient(x, self._left_of(x), z, dual_coef, self.budget, total)

    @override
    def add_own_gradient(self, x: LaneEmbedding, total: Gradient) -> None:
        pull_back_own_variances(self.recursion, x, None if x.from_pixels else x.patches, total)

    @override
    def embeds_patches(self, factor: Float[Tensor, "r d"] | None) -> bool:
        return True

    @override
    def own_entries(self, grid: tuple[int, int], outputs: int) -> int:
        return own_entries(self.recursion, grid, outputs)
