"""What the rounds of one layer share: images, targets, kernel and settings; without a fold, or a layer further."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import InputError
from ..maths.random_filters import RandomFeatures
from ..maths.windows import Window

Images = Float[Tensor, "n c h w"]
Metric = Float[Tensor, "d d"] | None  # None: the identity
Watch = Callable[[str], Callable[[int, int], None] | None]


@runtime_checkable
class LearnableKernel(Protocol):
    """What a kernel on images needs so that the metric on their patches can be learned; those of `convrfm.kernels` have it."""

    @property
    def window(self) -> Window:
        """The window that cuts an image into patches."""

    def __call__(self, x, z=None, *, feature_matrix=None, progress=None):  # type: ignore[no-untyped-def]
        """The kernel matrix `(n, m)`."""

    def diagonal(self, x, *, feature_matrix=None):  # type: ignore[no-untyped-def]
        """K of every image with itself."""

    def agop(self, x, z, dual_coef, *, feature_matrix=None, weights=None, progress=None):  # type: ignore[no-untyped-def]
        """The average gradient outer product over patches `(d, d)`."""

    def check_image_size(self, height: int, width: int) -> None:
        """Raise `InputError` for images that are too small."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What all rounds share.

    Attributes:
        kernel: the kernel.
        x: training images.
        y: targets `(n, k)`.
        weights: an image of weight w counts as w images; None for 1.
        groups: the number of every image's group, left out together; None for one image a group.
        classify: whether accuracy counts.
        ridges: candidates, in the order given.
        agop_indices: the images at which gradients are taken; None for all.
        agop_ridge: "chosen", or "last": the coefficients of the last candidate feed the AGOP (code-2023).
        feature_power: patches are multiplied by M to this power.
        feature_trace: the trace of the metric; None for d.
        selection: images and targets that the fit does not see, to judge it by.
    """

    kernel: LearnableKernel
    x: Images
    y: Float[Tensor, "n k"]
    weights: Float[Tensor, " n"] | None
    groups: Int[Tensor, " n"] | None
    classify: bool
    ridges: Sequence[float]
    agop_indices: Int[Tensor, " m"] | None
    agop_ridge: Literal["chosen", "last"]
    feature_power: float
    feature_trace: float | None
    selection: tuple[Float[Tensor, "s c h w"], Float[Tensor, "s k"]] | None

    @property
    def patch_entries(self) -> int:
        """d = c q q."""
        return self.x.shape[1] * self.kernel.window.size**2

    @property
    def contradicting(self) -> Int[Tensor, " m"]:
        """The images that equal one with other targets."""
        number = self.x.flatten(1).unique(dim=0, return_inverse=True)[1]
        of_one = torch.empty_like(self.y)
        of_one[number] = self.y  # of one image among its equals
        differing = number[(self.y != of_one[number]).any(1)]
        return torch.isin(number, differing).nonzero()[:, 0]

    def without(self, held_out: Int[Tensor, " s"]) -> "Problem":
        """The same problem without some images, which become its selection."""
        remain = torch.ones(len(self.x), dtype=torch.bool, device=self.x.device)
        remain[held_out] = False
        renumbered = remain.cumsum(0) - 1
        indices = self.agop_indices
        if indices is not None:
            indices = renumbered[indices[remain[indices]]]
            if not len(indices):
                raise InputError(
                    "a fold of cv holds out every image of agop_samples. Use more of them, or other folds."
                )
        return replace(
            self,
            x=self.x[remain],
            y=self.y[remain],
            weights=None if self.weights is None else self.weights[remain],
            groups=None if self.groups is None else self.groups[remain],
            agop_indices=indices,
            selection=(self.x[held_out], self.y[held_out]),
        )

    def through(self, features: RandomFeatures, kernel: LearnableKernel) -> "Problem":
        """The next layer's problem: all images through random features, another kernel on them."""
        selection = None if self.selection is None else (features(self.selection[0]), self.selection[1])
        return replace(self, kernel=kernel, x=features(self.x), selection=selection)
