"""How the regression of a round is solved; here by a decomposition of the kernel at the training images.

Either way the fitted function is a sum of functions with coefficients, `Basis`: K(., x_i) for every training image, or a
column of the features. All that follows (rounds, judges, folds, files) sees only that.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from ...errors import InputError
from ...kernels.devices import default_budget
from ...kernels.kernel_tiles import Tiles
from ...kernels.patch_kernel import PatchKernel
from ...kernels.recursion.recursion import Images
from ...kernels.tiling import blocks
from ...maths.windows import Window
from ...quantities import size
from ...solvers.exact import RidgePath
from ...solvers.path import Path
from ...solvers.tiled import InMemory, is_diagonal
from ...workers import Workers

SolverName = Literal["auto", "exact", "cg", "features"]
Metric = Float[Tensor, "d d"] | None  # None: the identity
Watch = Callable[[str], Callable[[int, int], None] | None]
Weights = Float[Tensor, " n"] | None

LOOKED_AT = 64  # images, whether a kernel tells them apart
ROUNDINGS = 64  # within which it does not


@runtime_checkable
class LearnableKernel(Protocol):
    """What a kernel on images needs so that the metric on their patches can be learned; those of `convrfm.kernels` have it."""

    @property
    def window(self) -> Window:
        """The window that cuts an image into patches."""

    def __call__(self, x, z=None, *, feature_matrix=None, progress=None):  # type: ignore[no-untyped-def]  # arrays or tensors
        """The kernel matrix `(n, m)`."""

    def diagonal(self, x, *, feature_matrix=None):  # type: ignore[no-untyped-def]  # arrays or tensors
        """K of every image with itself."""

    def agop(self, x, z, dual_coef, *, feature_matrix=None, weights=None, progress=None):  # type: ignore[no-untyped-def]  # arrays or tensors
        """The average gradient outer product over patches `(d, d)`."""

    def check_image_size(self, height: int, width: int) -> None:
        """Raise `InputError` for images that are too small."""


@runtime_checkable
class Basis(Protocol):
    """Functions of images, of which the fitted function is a sum."""

    def path(
        self,
        y: Float[Tensor, "n k"],
        weights: Weights,
        groups: Int[Tensor, " n"] | None,
        *,
        ridges: Sequence[float],
        centered: bool,
        watch: Watch,
    ) -> Path:
        """The regression of the training images' targets, for every ridge."""

    def outputs(self, images: Images, coef: Float[Tensor, "j k"], watch: Watch | None = None) -> Float[Tensor, "m k"]:
        """The sum at images, in the coefficients' precision."""

    def agop(self, images: Images, coef: Float[Tensor, "j k"], weights: Weights, watch: Watch) -> Float[Tensor, "d d"]:
        """The average gradient outer product of the sum at images."""

    @property
    def entries(self) -> int:
        """How many numbers are made of an image for its outputs."""


@runtime_checkable
class Solver(Protocol):
    """A way to solve."""

    def basis(self, kernel: LearnableKernel, x: Images, metric: Metric) -> Basis:
        """The functions, given training images and a metric."""

    def rows(self, n: int) -> int | None:
        """How many coefficients an output has with so many training images; None where images do not tell."""

    def decomposed(self, kernel: LearnableKernel, height: int, width: int, n: int) -> int:
        """The side of the matrix that is decomposed for n images of this size."""

    def shared_between(self, workers: Workers | None) -> "Solver":
        """The same solver, with workers where it can share work."""

    def to_file(self) -> dict[str, Any]:
        """The solver as JSON."""


def limited(solver: Solver, kernels: Sequence[LearnableKernel]) -> list[LearnableKernel]:
    """Kernels as a solver computes with them."""
    return [within(solver.temporaries, kernel) if isinstance(solver, Exact) else kernel for kernel in kernels]


def within(temporaries: int | None, kernel: LearnableKernel) -> LearnableKernel:
    """The same kernel with temporaries of so many bytes, where it has no budget of its own; None for its default."""
    if temporaries is None or not isinstance(kernel, PatchKernel) or kernel.memory_budget is not None:
        return kernel
    return with_budget(kernel, temporaries)


def with_budget(kernel: LearnableKernel, budget: int) -> LearnableKernel:
    """The same kernel with temporaries of so many bytes; as it is, if it has no such setting."""
    if is_dataclass(kernel) and any(each.name == "memory_budget" for each in fields(kernel)):
        return replace(kernel, memory_budget=budget)
    return kernel


def budget_of(kernel: LearnableKernel, device: torch.device) -> int:
    """How many bytes the kernel's temporaries may take."""
    return kernel.budget_on(device) if isinstance(kernel, PatchKernel) else default_budget(device)


@dataclass(frozen=True)
class Exact:
    """On the kernel at the training images.

    Attributes:
        seed: of what a fit draws; the regression itself draws nothing.
        temporaries: bytes that the kernel may take beside its matrix; None for its default.
    """

    seed: int = field(default=0, compare=False)
    temporaries: int | None = field(default=None, compare=False)

    @override
    def basis(self, kernel: LearnableKernel, x: Images, metric: Metric) -> Basis:
        return KernelBasis(within(self.temporaries, kernel), x, metric)

    @override
    def rows(self, n: int) -> int | None:
        return n

    @override
    def decomposed(self, kernel: LearnableKernel, height: int, width: int, n: int) -> int:
        return n

    @override
    def shared_between(self, workers: Workers | None) -> "Exact":
        return self

    @override
    def to_file(self) -> dict[str, Any]:
        return {"solver": "exact", "seed": self.seed}


@dataclass(frozen=True, eq=False)
class KernelBasis:
    """K(., x_i) for every training image."""

    kernel: LearnableKernel
    x: Images
    metric: Metric

    @override
    def path(
        self,
        y: Float[Tensor, "n k"],
        weights: Weights,
        groups: Int[Tensor, " n"] | None,
        *,
        ridges: Sequence[float],
        centered: bool,
        watch: Watch,
    ) -> Path:
        kernel_matrix = self.kernel(self.x, feature_matrix=self.metric, progress=watch("kernel"))
        if kernel_matrix.device != self.x.device:
            raise _no_room(self.x)
        self.check_resemblance(InMemory(kernel_matrix))
        try:
            return RidgePath(kernel_matrix, y, weights, groups, centered=centered)
        except torch.OutOfMemoryError as error:
            raise _no_room(self.x) from error

    def check_resemblance(self, tiles: Tiles) -> None:
        """Raise `InputError` where the kernel of every two training images is 0; warn where it hardly tells any apart."""
        if is_diagonal(tiles):
            raise InputError(
                f"under {self.kernel!r} no training image resembles another: the kernel is 0 for every two of them, and a fit "
                "would know nothing of other images. Choose a larger bandwidth, or check the images' scale."
            )

        tile = tiles.tile((0, 0))
        every = slice(None, None, -(-len(tile) // LOOKED_AT))
        some, values = self.x[: len(tile)][every], tile[every, every]
        own = values.diagonal()
        apart = float((own[:, None] + own - 2 * values).triu().max() / (2 * own.max()))
        if apart <= ROUNDINGS * tiles.eps and not bool((some == some[0]).all()):
            warnings.warn(
                f"the kernel hardly tells these images apart: of {len(some)} of them no two are further apart than {apart:.1g} "
                "of its largest value, about its rounding. Multiply them by a constant, so that their mean square is about 1, "
                "pass a smaller bandwidth or bias, or images of float64.",
                stacklevel=2,
            )

    @override
    def outputs(self, images: Images, coef: Float[Tensor, "j k"], watch: Watch | None = None) -> Float[Tensor, "m k"]:
        """Of as many images at once as the bytes of the kernel's temporaries hold the values of, as they are and as doubles."""
        progress, out = watch("selection kernel") if watch else None, coef.new_empty(len(images), coef.shape[1])
        a_row = len(self.x) * (self.x.element_size() + coef.element_size())
        for some in blocks(len(images), budget_of(self.kernel, self.x.device) // a_row):
            meeting = self.kernel(images[some], self.x, feature_matrix=self.metric)
            out[some] = meeting.to(coef) @ coef
            if progress:
                progress(some.stop, len(images))
        return out

    @override
    def agop(self, images: Images, coef: Float[Tensor, "j k"], weights: Weights, watch: Watch) -> Float[Tensor, "d d"]:
        return self.kernel.agop(
            images, self.x, coef, feature_matrix=self.metric, weights=weights, progress=watch("AGOP")
        )

    @property
    @override
    def entries(self) -> int:
        return len(self.x)


def _no_room(x: Images) -> InputError:
    return InputError(
        f"a fit to {len(x)} images decomposes their kernel matrix, which takes {size(32 * len(x) ** 2)} beside it, and "
        f'{x.device} has no room for that. Fit fewer images, pass device="cpu", or solver="features".'
    )
