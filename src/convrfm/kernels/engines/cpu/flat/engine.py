"""Sixteen pairs of images at once through a recursion of equal positions, in compiled loops that stay in cache."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

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
from ....threads import arrays, in_order, share
from ....tiling import blocks
from ...protocol import Gradient, Patches
from ..lane_embedding import TOGETHER, FlatEmbedding, LeftSide, has_low_rank, parts_in_cache
from .backward import gradient_blocks
from .forward import kernel_blocks
from .program import IN_COLS, IN_ROWS, KEPT, OUT_COLS, POSITION, Program, compiled_program

IMAGES_AT_A_CALL = 32  # long enough to make the call's cost vanish, short enough to share work between threads
CHUNK_BYTES = 1 << 23  # of weighted patches, made and used while in cache


class BoundFlat:
    """The cpu engine for one recursion whose positions are not coupled."""

    def __init__(self, recursion: Recursion, budget: int) -> None:
        self.recursion, self._budget, self._left_of = recursion, budget, LeftSide()

    def within(self, budget: int) -> "BoundFlat":  # noqa: D102
        return BoundFlat(self.recursion, budget)

    def embed(  # noqa: D102
        self, images: Images, factor: Float[Tensor, "r d"] | None, *, patches: Patches
    ) -> FlatEmbedding:
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

    def diagonal(self, x: FlatEmbedding) -> Float[Tensor, " n"]:  # noqa: D102
        return own_kernel(self.recursion, x.own)

    def kernel(self, x: FlatEmbedding, z: FlatEmbedding) -> Float[Tensor, "n_x n_z"]:  # noqa: D102
        program, taps = _program(x), x.taps
        out = x.images.new_empty(len(x.images), len(z.images) + -len(z.images) % LANES)
        places, offsets = taps.places.numpy(), taps.offsets.numpy()
        left, right = self._left_of(x), arrays(z.right)
        number = program.numbers.dtype.type

        def work(items: Iterator[tuple[int, slice]]) -> None:
            room = _Room(program, len(places), x.images)
            for block, images in items:
                kernel_blocks(
                    program, places, offsets, number(taps.scale), number(taps.bias), *left, images.start, images.stop,
                    *right, block, taps.stored, x.norms_of_an_image, z is x,
                    room.S1, room.rows, room.summed, room.slots, room.made, out.numpy(),
                )  # fmt: skip

        share(
            work,
            [
                (block, images)
                for block in reversed(range(0, out.shape[1] // LANES, 2))
                for images in blocks(len(out), IMAGES_AT_A_CALL)
                if z is not x or images.start < (block + 2) * LANES
            ],
        )
        return out[:, : len(z.images)]

    def add_gradient(  # noqa: D102
        self, x: FlatEmbedding, z: FlatEmbedding, dual_coef: Float[Tensor, "n_z k"], total: Gradient
    ) -> None:
        for rows, S_bars in self.adjoints(x, z, dual_coef, total.variances):
            _contract(S_bars, z, dual_coef, total.patches[:, rows])

    def adjoints(  # noqa: D102
        self,
        x: FlatEmbedding,
        z: FlatEmbedding,
        dual_coef: Float[Tensor, "n_z k"],
        variances: list[Float[Tensor, "n_x k _ _"]],
    ) -> Iterator[tuple[slice, Float[Tensor, "positions n_some n_z"]]]:
        program, taps = _program(x), x.taps
        places, offsets = taps.places.numpy(), taps.offsets.numpy()
        left, right = self._left_of(x), arrays(z.right)
        number = program.numbers.dtype.type
        n_x, n_z, outputs = len(x.images), len(z.images), dual_coef.shape[1]
        coefficients = pad(dual_coef, (0, -outputs % LANES, 0, -n_z % LANES)).contiguous()
        variance_bars = coefficients.new_zeros(n_x, x.norms_of_an_image, coefficients.shape[1])

        def work(items: Iterator[tuple[int, Tensor, slice]]) -> None:
            room = _Room(program, len(places), x.images)
            for start, S_bars, images in items:
                gradient_blocks(
                    program, places, offsets, number(taps.scale), number(taps.bias), number(8 * np.finfo(number).eps),
                    *left, start, images.start, images.stop, *right, taps.stored, x.norms_of_an_image, coefficients.numpy(),
                    room.S1, room.rows, room.summed, room.slots, room.made, room.met, room.fields,
                    S_bars.numpy(), variance_bars.numpy(),
                )  # fmt: skip

        rows_at_once = max(TOGETHER, self._budget // (4 * len(places) * len(coefficients) * dual_coef.element_size()))
        for rows in blocks(n_x, rows_at_once // TOGETHER * TOGETHER):
            count = rows.stop - rows.start
            S_bars = dual_coef.new_empty(len(places), count, len(coefficients))
            parts = [slice(rows.start + s.start, rows.start + s.stop) for s in blocks(count, IMAGES_AT_A_CALL // 4)]
            share(work, [(rows.start, S_bars, part) for part in parts])
            yield rows, S_bars[:, :, :n_z]
        at = 0
        for sum_of_bars, q in zip(variances, x.variances, strict=True):
            bars = variance_bars[:, at : at + q[0].numel(), :outputs].transpose(1, 2)
            sum_of_bars += bars.reshape(sum_of_bars.shape)
            at += q[0].numel()

    def embeds_patches(self, factor: Float[Tensor, "r d"] | None) -> bool:  # noqa: D102
        return factor is not None and has_low_rank(factor)

    def add_own_gradient(self, x: FlatEmbedding, total: Gradient) -> None:  # noqa: D102
        pull_back_variances(self.recursion, x, total.variances, total.patches)

    def own_entries(self, grid: tuple[int, int], outputs: int) -> int:  # noqa: D102
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
    row_bytes = cols * n_z * (k * min(n_x, r) + r) * total.element_size()

    def add(some_rows: Iterator[slice]) -> None:
        for some in some_rows:
            patches, part = z.patches_of(some), slice(some.start * cols, some.stop * cols)
            if n_x < r:
                weighted = (S_bars[part, :, None] * dual_coef.T).flatten(1, 2)
                total[part].view(-1, n_x * k, r).baddbmm_(weighted, patches)
            else:
                weighted = (patches[:, :, None] * dual_coef[:, :, None]).flatten(2)
                total[part].view(-1, n_x, k * r).baddbmm_(S_bars[part], weighted)

    share(add, blocks(rows, CHUNK_BYTES // row_bytes))


class _Room:
    """One thread's memory, aligned as torch aligns it."""

    def __init__(self, program: Program, positions: int, like: Tensor) -> None:
        kept = [int(step[KEPT] * step[OUT_COLS]) * LANES for step in program.steps]
        widest = int(program.steps[:, [IN_COLS, OUT_COLS]].max()) * LANES
        self.S1 = like.new_empty(2 * TOGETHER * positions * LANES).numpy()
        self.rows = like.new_zeros(5, widest).numpy()
        self.summed = like.new_empty(2, sum(kept)).numpy()
        self.slots = np.cumsum([0, *kept])
        last = program.steps[-1]
        met = int(last[POSITION] + last[IN_ROWS] * last[IN_COLS]) * LANES
        self.met = like.new_empty(2, met).numpy()
        self.fields = like.new_empty(4, positions * LANES).numpy()
        self.made = np.zeros(len(kept), dtype=np.int64)


def _program(x: FlatEmbedding) -> Program:
    height, width = x.images.shape[-2:]
    return compiled_program(x.recursion, (height, width), x.images.numpy().dtype, from_pixels=x.from_pixels)
