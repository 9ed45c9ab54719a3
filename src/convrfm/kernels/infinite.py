"""NNGP and NTK: the two kernels of an infinitely wide convolutional network, with a metric M on its first patches."""

from abc import ABC
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..maths.agop import random_sign_outputs, sum_of_outer_products
from ..maths.psd import check_psd, psd_factor
from ..maths.windows import Window
from .architecture import Architecture, vanilla
from .arrays import accepts_numpy
from .engines.choice import choose_engine
from .engines.protocol import Engine, Gradient
from .engines.reference import ReferenceEngine
from .recursion import Embedding, Recursion, own_kernel, patch_entries, pull_back_variances
from .tiling import DEFAULT_BUDGET, blocks

EngineName = Literal["auto", "cuda", "cpu", "reference"]
Progress = Callable[[int, int], None]

LARGEST_BLOCK = 128  # images; small enough that progress is seen, large enough that embedding them costs nothing


@dataclass(frozen=True)
class InfiniteWidthKernel(ABC):
    """A kernel of an infinitely wide network.

    Args:
        architecture: the network's layers.
        engine: "auto", or the name of one engine; `convrfm doctor` lists them.
        memory_budget: bytes that temporaries may take beyond the result; None for 512 MiB.

    Cost: n m pairs times the positions of all layers (times positions again where pooling couples them), and n m
    times the first layer's patch products (d numbers per position). A gradient costs about three times the kernel,
    plus n m k d per position for k outputs.
    """

    architecture: Architecture
    engine: EngineName = "auto"
    memory_budget: int | None = None

    tangent: ClassVar[bool]

    def __post_init__(self) -> None:
        if not isinstance(self.architecture, Architecture):
            raise InputError(
                f"{type(self).__name__} takes an Architecture, such as kernels.vanilla(depth=3); got "
                f"{type(self.architecture).__name__}."
            )
        if self.memory_budget is not None and self.memory_budget < 1:
            raise InputError(f"memory_budget must be a positive number of bytes or None; got {self.memory_budget!r}.")

    @accepts_numpy
    def __call__(
        self,
        x: Tensor,
        z: Tensor | None = None,
        *,
        feature_matrix: Tensor | None = None,
        progress: Progress | None = None,
    ) -> Float[Tensor, "n m"]:
        """The kernel matrix.

        Args:
            x: images `(n, c, h, w)`, float32 or float64.
            z: images `(m, c, h, w)`; None for x itself, which takes half the time.
            feature_matrix: the metric M on patches, `(d, d)`, symmetric and positive semidefinite; None for the
                identity.
            progress: called with the number of tiles done and of all tiles.

        Returns:
            `(n, m)`, normalised as Neural Tangents.

        Raises:
            InputError: on images of other shapes, types or sizes than the architecture takes, or a wrong metric.
        """
        self._check(x, z, feature_matrix)
        out = x.new_empty(len(x), len(x) if z is None else len(z))
        engine = choose_engine(self.engine, self.recursion, x.device, x.dtype)
        left = self._embedded(x, feature_matrix, engine, with_patches=False)
        right = self._embedded(x if z is None else z, feature_matrix, engine, with_patches=False)
        pairs = [(a, b) for a in left.blocks for b in right.blocks if z is not None or b.start >= a.start]
        done = 0
        for rows in left.blocks:
            a = left.embed(rows)
            for cols in [b for r, b in pairs if r == rows]:
                b = a if z is None and rows == cols else right[cols]
                tile = engine.kernel(self.recursion, a, b, self._budget)
                if z is None:
                    out[cols, rows] = tile.T
                out[rows, cols] = tile if a is not b else tile.triu() + tile.triu(1).T
                done += 1
                if progress:
                    progress(done, len(pairs))
            if z is None:
                out.diagonal()[rows] = own_kernel(self.recursion, a)
        return out

    @accepts_numpy
    def diagonal(self, x: Tensor, *, feature_matrix: Tensor | None = None) -> Float[Tensor, " n"]:
        """K(x, x) of every image, `(n,)`, at the cost of n pairs."""
        self._check(x, None, feature_matrix)
        images = self._embedded(x, feature_matrix, ReferenceEngine(), with_patches=False)
        return torch.cat([own_kernel(self.recursion, images.embed(rows)) for rows in images.blocks])

    @accepts_numpy
    def patch_gradients(
        self,
        x: Tensor,
        z: Tensor,
        dual_coef: Tensor,
        *,
        feature_matrix: Tensor | None = None,
    ) -> Float[Tensor, "n k positions d"]:
        """The gradient of f_o(x) = sum_i dual_coef[i, o] K(x, z_i) with respect to every patch of x.

        Every patch counts as a variable of its own and M as constant. Where a patch of x coincides with the one it
        meets, the NTK of a ReLU network has a kink; the gradient there is the midpoint of the one-sided ones.

        For small inputs, teaching and tests: `agop` never forms this array.

        Returns:
            `(n, k, positions, d)`, positions row by row.
        """
        self._check(x, z, feature_matrix, dual_coef)
        factor = _factor(feature_matrix)
        bars = torch.cat(list(self._patch_bars(x, z, dual_coef, feature_matrix, None)), 1).permute(1, 2, 0, 3)
        return bars.contiguous() if factor is None else bars @ factor

    @accepts_numpy
    def agop(
        self,
        x: Tensor,
        z: Tensor,
        dual_coef: Tensor,
        *,
        feature_matrix: Tensor | None = None,
        probes: int | None = None,
        generator: torch.Generator | None = None,
        progress: Progress | None = None,
    ) -> Float[Tensor, "d d"]:
        """The average gradient outer product over patches of f_o(x) = sum_i dual_coef[i, o] K(x, z_i) (Eq. 2).

        Args:
            x: images at which the gradient is taken.
            z: the training images.
            dual_coef: `(m, k)`, one column for each output.
            feature_matrix: the metric M of the kernel, `(d, d)`; None for the identity.
            probes: None for the exact sum over outputs, or how many random-sign mixtures of outputs estimate it without
                bias; worthwhile where k is large.
            generator: draws the signs; required with `probes`.
            progress: called with the number of tiles done and of all tiles.

        Returns:
            `(d, d)`: the mean over images, the sum over positions and outputs, of gradient times its transpose.
        """
        self._check(x, z, feature_matrix, dual_coef)
        if probes is not None:
            if generator is None or probes < 1:
                raise InputError(
                    "probes must be at least 1 and needs a generator: generator=torch.Generator().manual_seed(0)."
                )
            dual_coef = random_sign_outputs(dual_coef, probes, generator)
        factor = _factor(feature_matrix)
        inner = sum(map(sum_of_outer_products, self._patch_bars(x, z, dual_coef, feature_matrix, progress)))
        assert isinstance(inner, Tensor)
        inner = inner / len(x)
        return inner if factor is None else factor.T @ inner @ factor

    @property
    def recursion(self) -> Recursion:
        """The architecture, and which of its kernels this is."""
        return Recursion(self.architecture, self.tangent)

    @property
    def patch_size(self) -> int:
        """The side q of the patches on which M acts."""
        return self.architecture.patch_size

    @property
    def window(self) -> Window:
        """The window that cuts an image into those patches."""
        return self.architecture.first.window

    @property
    def _budget(self) -> int:
        return DEFAULT_BUDGET if self.memory_budget is None else self.memory_budget

    def _patch_bars(
        self, x: Tensor, z: Tensor, dual_coef: Tensor, feature_matrix: Tensor | None, progress: Progress | None
    ) -> Iterator[Float[Tensor, "positions n k r"]]:
        """Block by block of x, the gradient with respect to the embedded patches L x[u]."""
        recursion = self.recursion
        engine = choose_engine(self.engine, recursion, x.device, x.dtype)
        scale = self.architecture.first.weight_std**2 / patch_entries(recursion, x)
        left = self._embedded(x, feature_matrix, engine, with_patches=True, outputs=dual_coef.shape[1])
        right = self._embedded(z, feature_matrix, engine, with_patches=True)
        done = 0
        for rows in left.blocks:
            a = left.embed(rows)
            total = Gradient.zeros(a, dual_coef.shape[1])
            for cols in right.blocks:
                engine.add_gradient(recursion, a, right[cols], dual_coef[cols], self._budget, total)
                done += 1
                if progress:
                    progress(done, len(left.blocks) * len(right.blocks))
            yield total.patches.add_(pull_back_variances(recursion, a, total.variances)).mul_(scale)

    def _embedded(
        self, x: Tensor, feature_matrix: Tensor | None, engine: Engine, *, with_patches: bool, outputs: int = 0
    ) -> "_EmbeddedBlocks":
        return _EmbeddedBlocks(self, x, _factor(feature_matrix), engine, with_patches, outputs)

    def _check(
        self, x: Tensor, z: Tensor | None, feature_matrix: Tensor | None, dual_coef: Tensor | None = None
    ) -> None:
        for name, images in {"x": x, "z": z}.items():
            if images is not None:
                _check_images(name, images, like=x)
        self.architecture.grids(*x.shape[-2:])
        d = patch_entries(self.recursion, x)
        if feature_matrix is not None:
            if feature_matrix.shape != (d, d):
                raise InputError(
                    f"feature_matrix must be ({d}, {d}) for patches of {x.shape[1]} x {self.patch_size} x "
                    f"{self.patch_size}; "
                    f"got {tuple(feature_matrix.shape)}."
                )
            check_psd(feature_matrix, "feature_matrix")
        if z is not None and dual_coef is not None and (dual_coef.ndim != 2 or len(dual_coef) != len(z)):
            raise InputError(
                f"dual_coef must be ({len(z)}, k), one row for each image of z; got {tuple(dual_coef.shape)}."
            )


class NNGP(InfiniteWidthKernel):
    """The covariance of the outputs of the network at random weights.

    Example:
        >>> images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> NNGP(vanilla(depth=2))(images).shape
        torch.Size([2, 2])
    """

    tangent = False


class NTK(InfiniteWidthKernel):
    """The neural tangent kernel: the inner product of the network's gradients at random weights."""

    tangent = True


def vanilla_ntk(depth: int) -> NTK:
    """`NTK(vanilla(depth))`: a family of kernels, from a depth to a kernel."""
    return NTK(vanilla(depth))


class _EmbeddedBlocks:
    """Images embedded block by block: kept while they fit half the budget, otherwise embedded when asked for."""

    def __init__(
        self,
        kernel: InfiniteWidthKernel,
        x: Tensor,
        factor: Tensor | None,
        engine: Engine,
        with_patches: bool,
        outputs: int,
    ) -> None:
        self._kernel, self._x, self._factor = kernel, x, factor
        self._engine, self._with_patches = engine, with_patches
        architecture = kernel.architecture
        grids = architecture.grids(*x.shape[-2:])
        positions = sum(rows * cols for rows, cols in grids)
        d = patch_entries(kernel.recursion, x) if with_patches or factor is not None else 1
        entries = 4 * positions + d * grids[0][0] * grids[0][1] * (2 + 3 * outputs)
        if architecture.couples_positions:
            entries += 4 * max(1, outputs) * max(rows * cols for rows, cols in [*grids, x.shape[-2:]]) ** 2
        image_bytes = entries * x.element_size()
        half = kernel._budget // 2
        self.blocks = blocks(len(x), min(LARGEST_BLOCK, half // image_bytes))
        self._kept: dict[int, Embedding] | None = {} if image_bytes * len(x) <= half else None

    def embed(self, rows: slice) -> Embedding:
        return self._engine.embed(self._kernel.recursion, self._x[rows], self._factor, with_patches=self._with_patches)

    def __getitem__(self, rows: slice) -> Embedding:
        if self._kept is None:
            return self.embed(rows)
        if rows.start not in self._kept:
            self._kept[rows.start] = self.embed(rows)
        return self._kept[rows.start]


def _factor(feature_matrix: Tensor | None) -> Float[Tensor, "r d"] | None:
    return None if feature_matrix is None else psd_factor(feature_matrix)


def _check_images(name: str, images: Tensor, like: Tensor) -> None:
    if images.ndim != 4:
        raise InputError(
            f"{name} must be (n, channels, height, width); got {tuple(images.shape)}. Images of one channel need an "
            f"axis for it: "
            f"{name}[:, None]."
        )
    if images.dtype not in (torch.float32, torch.float64):
        raise InputError(f"{name} must be float32 or float64; got {images.dtype}. Convert it with {name}.float().")
    for what, got, expected in (
        ("channels, height and width", tuple(images.shape[1:]), tuple(like.shape[1:])),
        ("dtype", images.dtype, like.dtype),
        ("device", images.device, like.device),
    ):
        if got != expected:
            raise InputError(f"{name} must have the {what} of x, {expected}; got {got}.")
