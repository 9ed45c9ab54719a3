"""What every engine does: one tile of the kernel, and one tile of the gradient."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from ..recursion import Embedding, Recursion

GradientTile = tuple[Float[Tensor, "n_x k r rows cols"], list[Float[Tensor, "n_x k _ _"]]]


@runtime_checkable
class Engine(Protocol):
    """One implementation of a kernel's tiles; `budget` bounds its temporaries in bytes."""

    name: str

    def kernel(self, recursion: Recursion, x: Embedding, z: Embedding, budget: int) -> Float[Tensor, "n_x n_z"]:
        """The kernel of every image of x with every image of z; where `z is x`, only the upper half
        need be right."""

    def gradient(
        self, recursion: Recursion, x: Embedding, z: Embedding, dual_coef: Float[Tensor, "n_z k"], budget: int
    ) -> GradientTile:
        """This z's share of the gradient of f_o(x) = sum_i dual_coef[i, o] K(x, z_i).

        Returns:
            The gradient with respect to the embedded patches of x through the covariances (without the first layer's
            factor weight_std^2 / d), and the adjoint of each of x's variances, which flow on once per image.
        """
