"""What every engine does: bound to a kernel's recursion, it prepares images, and makes tiles of kernel and gradient."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from ..recursion.recursion import Embedding, Images, Recursion

Patches = Literal["unused", "on demand", "kept"]
"""Whether an embedding needs its patches, and if so, whether there is memory to keep them."""

EmbeddingT = TypeVar("EmbeddingT", bound=Embedding)
Bound = TypeVar("Bound", bound="BoundEngine[Any]")


@dataclass(frozen=True, eq=False)
class Gradient:
    """The gradient of k outputs at n images, summed up tile by tile.

    Attributes:
        patches: with respect to patches through the covariances, without the first layer's factor weight_std^2 / d, and
            still to be multiplied by L, or, where the engine contracts them with x[u], channels last, by M. Positions
            come first, so that contractions are products of matrices.
        variances: with respect to each image's variances, which flow on to its patches once per image.
    """

    patches: Float[Tensor, "positions n k r"]
    variances: list[Float[Tensor, "n k _ _"]]

    @classmethod
    def zeros(cls, x: Embedding, outputs: int) -> "Gradient":
        """No gradient yet, at these images."""
        n, r, rows, cols = x.contracted.shape
        variances = [q.new_zeros(n, outputs, *q.shape[1:]) for q in x.variances]
        return cls(x.images.new_zeros(rows * cols, n, outputs, r), variances)

    def clear(self) -> None:
        """Back to zero, in the same memory: fresh pages cost more than the sums."""
        for sums in [self.patches, *self.variances]:
            sums.zero_()


class BoundEngine(ABC, Generic[EmbeddingT]):
    """An engine at work on one recursion, with so many bytes for its temporaries.

    Attributes:
        unfolds: whether patches are embedded even where M is the identity and no gradient is asked for.
    """

    unfolds: ClassVar[bool] = False

    def __init__(self, recursion: Recursion, budget: int) -> None:
        self.recursion, self.budget = recursion, budget

    def within(self: Bound, budget: int) -> Bound:
        """The same with another number of bytes."""
        other = copy.copy(self)
        other.budget = budget
        return other

    @abstractmethod
    def embed(self, images: Images, factor: Float[Tensor, "r d"] | None, *, patches: Patches) -> EmbeddingT:
        """Images as this engine reads them; `factor` is L with L^T L = M, None for the identity."""

    @abstractmethod
    def diagonal(self, x: EmbeddingT) -> Float[Tensor, " n"]:
        """K(x, x) of every image."""

    @abstractmethod
    def kernel(self, x: EmbeddingT, z: EmbeddingT) -> Float[Tensor, "n_x n_z"]:
        """The kernel of every image of x with every image of z; where `z is x`, only the upper half
        need be right."""

    def symmetric_kernel(self, x: EmbeddingT) -> Float[Tensor, "n n"]:
        """The kernel of every image with every other and itself."""
        upper = self.kernel(x, x).triu(1)
        return upper + upper.T + self.diagonal(x).diag()

    @abstractmethod
    def add_gradient(self, x: EmbeddingT, z: EmbeddingT, dual_coef: Float[Tensor, "n_z k"], total: Gradient) -> None:
        """Add this z's share of the gradient of f_o(x) = sum_i dual_coef[i, o] K(x, z_i) to `total`, in place.

        Where `z is x`, an engine may let every pair of images serve both.
        """

    @abstractmethod
    def add_own_gradient(self, x: EmbeddingT, total: Gradient) -> None:
        """Add what flows through each image's own variances to `total.patches`, once every z has been added."""

    @abstractmethod
    def embeds_patches(self, factor: Float[Tensor, "r d"] | None) -> bool:
        """Whether adjoints are contracted with L x[u], or with x[u], channels last, which can be made on demand."""

    @abstractmethod
    def own_entries(self, grid: tuple[int, int], outputs: int) -> int:
        """How many numbers one image's covariance with itself takes beyond pictures, with its adjoints for `outputs`."""


class AdjointEngine(BoundEngine[EmbeddingT]):
    """One that also puts out the adjoints that it adds up; positions are not coupled."""

    @abstractmethod
    def adjoints(
        self,
        x: EmbeddingT,
        z: EmbeddingT,
        dual_coef: Float[Tensor, "n_z k"],
        variances: list[Float[Tensor, "n_x k _ _"]],
    ) -> Iterator[tuple[slice, Float[Tensor, "positions n_some n_z"]]]:
        """For some images of x at a time, the adjoints dK(x, z_i) / dS[u] of the first covariance; in the end those of
        x's variances, summed over z with the coefficients, are added to `variances`."""


class Engine(ABC):
    """One way to compute a kernel's tiles."""

    name: ClassVar[str]

    @abstractmethod
    def obstacle(self, recursion: Recursion, device: torch.device, dtype: torch.dtype) -> str | None:
        """Why this engine cannot serve an architecture for images of this type on a device; None where it can."""

    @abstractmethod
    def bind(self, recursion: Recursion, budget: int) -> BoundEngine[Any]:
        """The engine for one recursion; `budget` bounds its temporaries in bytes."""
