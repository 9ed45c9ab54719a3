"""NNGP and NTK: the two kernels of an infinitely wide convolutional network, with a metric M on its first patches."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from ..errors import InputError
from ..maths.patches import unfold_patches
from ..maths.windows import Window
from .architecture import Architecture, vanilla
from .engines.choice import choose_engine
from .engines.embedded_blocks import EmbeddedBlocks
from .engines.memory_plan import plan
from .engines.protocol import AdjointEngine, BoundEngine, EmbeddingT, Gradient
from .gram_agop import GramSum
from .growth import timed_as_part_of, whole_of
from .patch_gradients import PatchGradients
from .patch_kernel import PatchKernel, Progress, settle_numerics
from .recording import is_recorded
from .recursion.recursion import Recursion, patch_entries
from .tiled_matrix import tiled_matrix

EngineName = Literal["auto", "cuda", "cpu", "reference"]


@dataclass(frozen=True)
class InfiniteWidthKernel(PatchKernel):
    """A kernel of an infinitely wide network, normalized as Neural Tangents.

    Args:
        architecture: the network's layers.
        engine: "auto", or the name of one engine; `convrfm doctor` lists them.
        memory_budget: bytes that temporaries may take beyond the result; None for 512 MiB, on a GPU a quarter of what is free.
        rank_tolerance: eigenvectors of M whose share of the trace is below it are dropped, which saves time in proportion;
            0 keeps all that rounding can tell from zero.

    Cost: n m pairs times the positions of all layers (times positions again where pooling couples them), and n m
    times the first layer's patch products (d numbers per position). A gradient costs about three times the kernel,
    plus n m k d per position for k outputs; the AGOP, where outputs or channels are many and memory suffices,
    m^2 (n + d) + n m k instead (`gram_agop`).
    """

    architecture: Architecture
    engine: EngineName = "auto"
    memory_budget: int | None = None
    rank_tolerance: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.architecture, Architecture):
            raise InputError(
                f"{type(self).__name__} takes an Architecture; got {type(self.architecture).__name__}.",
                in_python="Pass kernels.vanilla(depth=3), for instance.",
            )
        settle_numerics(self)

    @override
    def matrix(
        self, x: Tensor, z: Tensor | None, factor: Float[Tensor, "r d"] | None, progress: Progress | None
    ) -> Float[Tensor, "n m"]:
        x, z = self._seen(x), None if z is None else self._seen(z)
        out = tiled_matrix(x, len(x) if z is None else len(z), self.budget_on(x.device))
        engine = self._chosen_engine(x, z, factor)
        left = self._blocks(x, factor, engine)
        right = self._blocks(x if z is None else z, factor, engine)
        pairs = [(a, b) for a in left.blocks for b in right.blocks if z is not None or b.start >= a.start]
        done = 0
        for rows in left.blocks:
            a = right[rows] if z is None else left.embed(rows)
            for cols in [b for r, b in pairs if r == rows]:
                b = a if z is None and rows == cols else right[cols]
                tile = engine.symmetric_kernel(a) if a is b else engine.kernel(a, b)
                if z is None and a is not b:
                    out.put(cols, rows, tile.T)
                out.put(rows, cols, tile)
                done += 1
                if progress:
                    progress(done, len(pairs))
        return out.finished()

    @override
    def own(self, x: Tensor, factor: Float[Tensor, "r d"] | None) -> Float[Tensor, " n"]:
        x = self._seen(x)
        engine = self._chosen_engine(x, factor)
        images = self._blocks(x, factor, engine)
        return torch.cat([engine.diagonal(images.embed(rows)) for rows in images.blocks])

    @property
    @abstractmethod
    def tangent(self) -> bool:
        """Whether it is the tangent kernel."""

    @property
    def recursion(self) -> Recursion:
        """The architecture on what the engines see, and which of its kernels this is."""
        plain = self.window.contrast is None
        return Recursion(self.architecture if plain else self.architecture.on_patches, self.tangent)

    def _seen(self, images: Tensor) -> Tensor:
        """What the engines see: images, or where patches are normalized an image of patches."""
        return images if self.window.contrast is None else unfold_patches(images, self.window)

    @property
    def patch_size(self) -> int:
        """The side q of the patches on which M acts."""
        return self.architecture.patch_size

    @property
    @override
    def window(self) -> Window:
        return self.architecture.first.window

    def _chosen_engine(self, x: Tensor, *others: Tensor | None) -> BoundEngine[Any]:
        """The engine that was asked for; only the reference engine can be differentiated by torch."""
        name: str = self.engine
        if is_recorded(x, *others):
            if name not in ("auto", "reference"):
                raise InputError(
                    f'engine="{name}" cannot be differentiated by torch. Pass engine="auto" or "reference", or detach '
                    "the inputs."
                )
            name = "reference"
        return choose_engine(name, self.recursion, x.device, x.dtype).bind(self.recursion, self.budget_on(x.device))

    def _blocks(
        self,
        x: Tensor,
        factor: Tensor | None,
        engine: BoundEngine[EmbeddingT],
        *,
        with_patches: bool = False,
        outputs: int = 0,
    ) -> EmbeddedBlocks[EmbeddingT]:
        fitting = plan(engine, x, factor, self.budget_on(x.device), with_patches=with_patches, outputs=outputs)
        return EmbeddedBlocks(engine, x, factor, fitting, with_patches=with_patches)

    @override
    def gradients(
        self,
        x: Tensor,
        z: Tensor,
        dual_coef: Tensor,
        factor: Float[Tensor, "r d"] | None,
        progress: Progress | None,
    ) -> PatchGradients:
        x, z = self._seen(x), self._seen(z)
        engine = self._chosen_engine(x, z, dual_coef, factor)
        by_gram = None
        if isinstance(engine, AdjointEngine):
            by_gram = GramSum(engine, x, z, dual_coef, factor, self.budget_on(x.device))
        d = patch_entries(self.recursion, x)
        outer = factor
        if not engine.embeds_patches(factor):
            M = torch.eye(d).to(x) if factor is None else factor.T @ factor
            outer = M.unflatten(0, (x.shape[1], -1)).transpose(0, 1).flatten(0, 1)  # channels last
        sizes = (len(x), len(z))
        if by_gram is None or not by_gram.pays_for_whole:
            sizes = whole_of(*sizes)  # a part is timed with the memory of the whole, where this is made in the same way
        return PatchGradients(
            partial(self._gradient_blocks, engine, x, z, dual_coef, factor, progress, sizes),
            outer,
            scale=self.architecture.first.weight_std**2 / d,
            outer_products=(lambda roots: by_gram(roots, progress)) if by_gram is not None and by_gram.pays else None,
        )

    def _gradient_blocks(
        self,
        engine: BoundEngine[Any],
        x: Tensor,
        z: Tensor,
        dual_coef: Tensor,
        factor: Float[Tensor, "r d"] | None,
        progress: Progress | None,
        sizes: tuple[int, int],
    ) -> Iterator[Float[Tensor, "positions n k s"]]:
        with timed_as_part_of(*sizes):
            left = self._blocks(x, factor, engine, with_patches=True, outputs=dual_coef.shape[1])
            right = self._blocks(z, factor, engine, with_patches=True)
        done, together = 0, z is x and len(left.blocks) == 1
        total: Gradient | None = None
        for rows in left.blocks:
            a = left.embed(rows)
            if total is None or is_recorded(total.patches) or total.patches.shape[1] != len(a.images):
                total = Gradient.zeros(a, dual_coef.shape[1])
            else:
                total.clear()
            for cols in left.blocks if together else right.blocks:
                engine.add_gradient(a, a if together else right[cols], dual_coef[cols], total)
                done += 1
                if progress:
                    progress(done, 1 if together else len(left.blocks) * len(right.blocks))
            engine.add_own_gradient(a, total)
            yield total.patches

    @override
    def check_image_size(self, height: int, width: int) -> None:
        self.architecture.grids(height, width)


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


def of_a_network(kernel: object, otherwise: str) -> InfiniteWidthKernel:
    """The kernel, if it is one of a network; raises `InputError` with these words otherwise."""
    if not isinstance(kernel, InfiniteWidthKernel):
        raise InputError(otherwise, in_python="An NNGP with Rbf() is a Gaussian kernel of patches.")
    return kernel
