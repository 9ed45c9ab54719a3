"""Sixteen pairs of images at once through a recursion of equal positions, in compiled loops that stay in cache."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad
from typing_extensions import override

from .....maths.patches import filter_patches
from ....lanes.vectors import LANES
from ....recursion.recursion import (
    Embedding,
    Images,
    Recursion,
    own_first_covariance,
    own_inputs,
    own_kernel,
    pull_back_variances,
)
from ....threads import in_order, share
from ....tiling import blocks
from ...protocol import AdjointEngine, Gradient, Patches
from ..lane_embedding import TOGETHER, FlatEmbedding, LeftSide, add_variance_adjoints, has_low_rank, parts_in_cache
from .backward import gradient_blocks
from .forward import kernel_blocks
from .program import IN_COLS, KEPT, OUT_COLS, Program, compiled_program
from .structures import Memory, Part

IMAGES_AT_A_CALL = 32  # long enough to make the call's cost vanish, short enough to share work between threads
CHUNK_BYTES = 1 << 21  # of weighted patches, made and used while in cache


class BoundFlat(AdjointEngine[FlatEmbedding]):
    """The cpu engine for one recursion whose positions are not coupled."""

    def __init__(self, recursion: Recursion, budget: int) -> None:
        super().__init__(recursion, budget)
        self._left_of = LeftSide()

    @override
    def embed(self, images: Images, factor: Float[Tensor, "r d"] | None, *, patches: Patches) -> FlatEmbedding:
        recursion = self.recursion
        n, (rows, cols) = len(images), recursion.architecture.grids(*images.shape[-2:])[0]
        window, filtered = recursion.architecture.first.window, None
        if factor is not None and has_low_rank(factor):  # positions first in memory
            filtered = images.new_empty(rows, cols, n, len(factor)).permute(2, 3, 0, 1)

        def run_alone(part: slice) -> list[Tensor]:
            met = None if factor is None else filter_patches(images[part], factor, window)
            if filtered is not None and met is not None:
                filtered[part] = met
            own = own_first_covariance(recursion, Embedding(images[part], met, []))
            return [own, *own_inputs(recursion, own)]

        parts = parts_in_cache(images, (1 if factor is None else len(factor)) * rows * cols)
        own, *variances = map(torch.cat, zip(*in_order(run_alone, parts), strict=True))
        from_pixels = factor is None and patches == "unused"
        embedding = FlatEmbedding(images, filtered, variances, recursion, factor, from_pixels, own)
        return embedding.with_patches() if filtered is None and patches == "kept" else embedding

    @override
    def diagonal(self, x: FlatEmbedding) -> Float[Tensor, " n"]:
        return own_kernel(self.recursion, x.own)

    @override
    def kernel(self, x: FlatEmbedding, z: FlatEmbedding) -> Float[Tensor, "n_x n_z"]:
        program, left, right = _program(x), self._left_of(x), z.right
        out = x.images.new_empty(len(x.images), len(z.images) + -len(z.images) % LANES)

        def work(parts: Iterator[Part]) -> None:
            memory = _memory(program, x)
            for part in parts:
                kernel_blocks(program, x.taps, left, right, part, memory, out.numpy())

        share(
            work,
            [
                Part(0, images.start, images.stop, block, z is x)
                for block in reversed(range(0, out.shape[1] // LANES, 2))
                for images in blocks(len(out), IMAGES_AT_A_CALL)
                if z is not x or images.start < (block + 2) * LANES
            ],
        )
        return out[:, : len(z.images)]

    @override
    def add_gradient(
        self, x: FlatEmbedding, z: FlatEmbedding, dual_coef: Float[Tensor, "n_z k"], total: Gradient
    ) -> None:
        for rows, S_bars in self.adjoints(x, z, dual_coef, total.variances):
            _contract(S_bars, z, dual_coef, total.patches[:, rows])

    @override
    def adjoints(
        self,
        x: FlatEmbedding,
        z: FlatEmbedding,
        dual_coef: Float[Tensor, "n_z k"],
        variances: list[Float[Tensor, "n_x k _ _"]],
    ) -> Iterator[tuple[slice, Float[Tensor, "positions n_some n_z"]]]:
        program, left, right = _program(x), self._left_of(x), z.right
        n_x, n_z, outputs = len(x.images), len(z.images), dual_coef.shape[1]
        coefficients = pad(dual_coef, (0, -outputs % LANES, 0, -n_z % LANES)).contiguous()
        variance_adjoints = coefficients.new_zeros(n_x, program.norms, coefficients.shape[1])
        positions = len(x.taps.places)

        def work(parts: Iterator[tuple[Part, Tensor]]) -> None:
            memory = _memory(program, x)
            for part, S_bars in parts:
                gradient_blocks(
                    program, x.taps, left, right, part, memory,
                    coefficients.numpy(), S_bars.numpy(), variance_adjoints.numpy(),
                )  # fmt: skip

        rows_at_once = max(TOGETHER, self.budget // (4 * positions * len(coefficients) * dual_coef.element_size()))
        for rows in blocks(n_x, rows_at_once // TOGETHER * TOGETHER):
            count = rows.stop - rows.start
            S_bars = dual_coef.new_empty(positions, count, len(coefficients))
            parts = [
                Part(rows.start, rows.start + some.start, rows.start + some.stop, 0, False)
                for some in blocks(count, IMAGES_AT_A_CALL // 4)
            ]
            share(work, [(part, S_bars) for part in parts])
            yield rows, S_bars[:, :, :n_z]
        add_variance_adjoints(variance_adjoints[:, :, :outputs], variances)

    @override
    def embeds_patches(self, factor: Float[Tensor, "r d"] | None) -> bool:
        return factor is not None and has_low_rank(factor)

    @override
    def add_own_gradient(self, x: FlatEmbedding, total: Gradient) -> None:
        pull_back_variances(self.recursion, x, total.variances, total.patches)

    @override
    def own_entries(self, grid: tuple[int, int], outputs: int) -> int:
        return 0


def _contract(
    S_bars: Float[Tensor, "positions n_x n_z"],
    z: FlatEmbedding,
    dual_coef: Float[Tensor, "n_z k"],
    total: Float[Tensor, "positions n_x k r"],
) -> None:
    """Add the sum over images i of S_bars[u, x, i] dual_coef[i, o] z_i[u] to `total`, all outputs o at once.

    The coefficients multiply whichever side is smaller: the patches z_i[u], or the adjoints.
    """
    rows, cols = z.recursion.architecture.grids(*z.images.shape[-2:])[0]
    n_x, (n_z, k), r = S_bars.shape[1], dual_coef.shape, total.shape[3]
    at_once = CHUNK_BYTES // (n_z * (k * min(n_x, r) + r) * total.element_size())

    def add(some_rows: Iterator[slice]) -> None:
        for some in some_rows:
            patches = z.patches_of(some)
            for within in blocks(len(patches), at_once):
                part = slice(some.start * cols + within.start, some.start * cols + within.stop)
                if n_x < r:
                    weighted = (S_bars[part, :, None] * dual_coef.T).flatten(1, 2)
                    total[part].view(-1, n_x * k, r).baddbmm_(weighted, patches[within])
                else:
                    weighted = (patches[within, :, None] * dual_coef[:, :, None]).flatten(2)
                    total[part].view(-1, n_x, k * r).baddbmm_(S_bars[part], weighted)

    share(add, blocks(rows, at_once // cols))


def _memory(program: Program, x: FlatEmbedding) -> Memory:
    """One thread's, aligned as torch aligns it."""
    kept = [int(step[KEPT] * step[OUT_COLS]) * LANES for step in program.steps]
    widest = int(program.steps[:, [IN_COLS, OUT_COLS]].max()) * LANES
    field = len(x.taps.places) * LANES
    like = x.images
    return Memory(
        S1=like.new_empty(2 * TOGETHER * field).numpy(),
        rows=like.new_zeros(5, widest).numpy(),
        summed=like.new_empty(2, sum(kept)).numpy(),
        slots=np.cumsum([0, *kept]),
        made=np.zeros(len(kept), dtype=np.int64),
        met=like.new_empty(2, program.norms * LANES).numpy(),
        fields=like.new_empty(4, field).numpy(),
    )


def _program(x: FlatEmbedding) -> Program:
    height, width = x.images.shape[-2:]
    return compiled_program(x.recursion, (height, width), x.images.numpy().dtype, from_pixels=x.from_pixels)
