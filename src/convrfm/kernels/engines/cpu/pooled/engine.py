"""Sixteen pairs of images at once through a pooled recursion, without the covariance of all their pairs of positions."""

from jaxtyping import Float
from torch import Tensor

from .....maths.patches import filter_patches, unfold_patches
from ....recursion.recursion import Images, Recursion
from ...protocol import Gradient, Patches
from ..lane_embedding import LaneEmbedding, LeftSide
from .own_pairs import own_entries, own_variances, pull_back_own_variances
from .tiles import add_pair_gradient, pair_diagonal, pair_kernel


class BoundPooled:
    """The cpu engine for one recursion that couples positions."""

    def __init__(self, recursion: Recursion, budget: int) -> None:
        self.recursion, self._budget, self._left_of = recursion, budget, LeftSide()

    def within(self, budget: int) -> "BoundPooled":  # noqa: D102
        return BoundPooled(self.recursion, budget)

    def embed(  # noqa: D102
        self, images: Images, factor: Float[Tensor, "r d"] | None, *, patches: Patches
    ) -> LaneEmbedding:
        window = self.recursion.architecture.first.window
        filtered = None if factor is None else filter_patches(images, factor, window)
        variances = own_variances(self.recursion, images, filtered)
        kept = unfold_patches(images, window) if filtered is None and patches != "unused" else filtered
        return LaneEmbedding(images, kept, variances, self.recursion, factor, factor is None)

    def diagonal(self, x: LaneEmbedding) -> Float[Tensor, " n"]:  # noqa: D102
        return pair_diagonal(x, self._left_of(x), self._budget)

    def kernel(self, x: LaneEmbedding, z: LaneEmbedding) -> Float[Tensor, "n_x n_z"]:  # noqa: D102
        return pair_kernel(x, self._left_of(x), z, self._budget)

    def add_gradient(  # noqa: D102
        self, x: LaneEmbedding, z: LaneEmbedding, dual_coef: Float[Tensor, "n_z k"], total: Gradient
    ) -> None:
        add_pair_gradient(x, self._left_of(x), z, dual_coef, self._budget, total)

    def add_own_gradient(self, x: LaneEmbedding, total: Gradient) -> None:  # noqa: D102
        pull_back_own_variances(self.recursion, x, None if x.from_pixels else x.patches, total)

    def embeds_patches(self, factor: Float[Tensor, "r d"] | None) -> bool:  # noqa: D102
        return True

    def own_entries(self, grid: tuple[int, int], outputs: int) -> int:  # noqa: D102
        return own_entries(self.recursion, grid, outputs)
