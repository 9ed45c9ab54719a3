"""The cpu engine: sixteen pairs of images at once through the whole recursion, in compiled loops that stay in cache."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from ...maths.patches import filter_patches, unfold_patches
from ..layers import Conv
from ..recursion import Embedding, Images, Recursion, embed, own_kernel
from ..tiling import blocks
from .fused_backward import gradient_blocks
from .fused_forward import kernel_blocks
from .fused_pairs import pair_kernel_block
from .lane_embedding import TOGETHER, LaneEmbedding
from .lanes import LANES
from .own_offsets import own_variances
from .pair_program import compiled_pair_program
from .program import IN_COLS, IN_ROWS, KEPT, OUT_COLS, POSITION, Program, compiled_program
from .protocol import Gradient
from .reference import ReferenceEngine

IMAGES_AT_A_CALL = 32  # long enough to make the call's cost vanish, short enough to share work between threads
CHUNK_BYTES = 1 << 23  # of weighted patches, made and used while in cache


class CpuEngine:
    """Compiled and fused: float32 and float64 on the CPU."""

    name = "cpu"

    def __init__(self) -> None:
        self._left: tuple[LaneEmbedding, list[Any]] | None = None

    def obstacle(self, recursion: Recursion, device: torch.device, dtype: torch.dtype) -> str | None:  # noqa: D102
        if device.type != "cpu":
            return f"it runs on the CPU, and the images are on {device}."
        convolutions = [layer for layer in recursion.architecture.layers if isinstance(layer, Conv)]
        slides = all(conv.stride == 1 and conv.padding != "circular" for conv in convolutions)
        if recursion.architecture.couples_positions and not slides:
            return "where positions are coupled, it takes convolutions of stride 1 that are not circular."
        return None

    def embed(  # noqa: D102
        self, recursion: Recursion, images: Images, factor: Float[Tensor, "r d"] | None, *, with_patches: bool
    ) -> LaneEmbedding:
        coupled = recursion.architecture.couples_positions
        plain = _met(recursion, images, factor, with_patches) if coupled else None
        if plain is None:
            plain = embed(recursion, images, factor, with_patches=with_patches)
        patches = plain.patches if with_patches else None
        if patches is not None:
            patches = patches.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)  # positions first in memory
        own = None if coupled else own_kernel(recursion, plain)
        return LaneEmbedding(images, patches, plain.variances, recursion, factor, plain.patches is None, own)

    def diagonal(self, recursion: Recursion, x: Embedding) -> Float[Tensor, " n"]:  # noqa: D102
        assert isinstance(x, LaneEmbedding)
        return self._pair_diagonal(x) if x.own_kernel is None else x.own_kernel

    def kernel(  # noqa: D102
        self, recursion: Recursion, x: Embedding, z: Embedding, budget: int
    ) -> Float[Tensor, "n_x n_z"]:
        assert isinstance(x, LaneEmbedding)
        assert isinstance(z, LaneEmbedding)
        if recursion.architecture.couples_positions:
            return self._pair_kernel(x, z)
        program, taps = _program(x), x.taps
        out = x.images.new_empty(len(x.images) + -len(x.images) % TOGETHER, len(z.images) + -len(z.images) % LANES)
        places, offsets = taps.places.numpy(), taps.offsets.numpy()
        left, right = self._left_of(x), _arrays(z.right)
        number = program.numbers.dtype.type

        def work(items: Iterator[tuple[int, slice]]) -> None:
            room = _Room(program, len(places), x.images)
            for block, images in items:
                kernel_blocks(
                    program, places, offsets, number(taps.scale), number(taps.bias), *left, images.start, images.stop,
                    *right, block, taps.stored, _positions(x), z is x,
                    room.S1, room.rows, room.summed, room.slots, room.made, out.numpy(),
                )  # fmt: skip

        _share(
            work,
            [
                (block, images)
                for block in reversed(range(0, out.shape[1] // LANES, 2))
                for images in blocks(len(out), IMAGES_AT_A_CALL)
                if z is not x or images.start < (block + 2) * LANES
            ],
        )
        return out[: len(x.images), : len(z.images)]

    def add_gradient(  # noqa: D102
        self,
        recursion: Recursion,
        x: Embedding,
        z: Embedding,
        dual_coef: Float[Tensor, "n_z k"],
        budget: int,
        total: Gradient,
    ) -> None:
        assert isinstance(x, LaneEmbedding)
        assert isinstance(z, LaneEmbedding)
        assert z.patches is not None
        if recursion.architecture.couples_positions:
            ReferenceEngine().add_gradient(recursion, x, z, dual_coef, budget, total)
            return
        program, taps = _program(x), x.taps
        places, offsets = taps.places.numpy(), taps.offsets.numpy()
        left, right = self._left_of(x), _arrays(z.right)
        number = program.numbers.dtype.type
        n_x, n_z, outputs = len(x.images), len(z.images), dual_coef.shape[1]
        coefficients = pad(dual_coef, (0, -outputs % LANES, 0, -n_z % LANES)).contiguous()
        variance_bars = coefficients.new_zeros(n_x, _positions(x), coefficients.shape[1])

        def work(items: Iterator[tuple[int, Tensor, slice]]) -> None:
            room = _Room(program, len(places), x.images)
            for start, S_bars, images in items:
                gradient_blocks(
                    program, places, offsets, number(taps.scale), number(taps.bias), number(8 * np.finfo(number).eps),
                    *left, start, images.start, images.stop, *right, taps.stored, _positions(x), coefficients.numpy(),
                    room.S1, room.rows, room.summed, room.slots, room.made, room.met, room.fields,
                    S_bars.numpy(), variance_bars.numpy(),
                )  # fmt: skip

        rows_at_once = max(TOGETHER, budget // (4 * len(places) * len(coefficients) * dual_coef.element_size()))
        patches = z.patches.permute(2, 3, 0, 1).flatten(0, 1)
        for rows in blocks(n_x, rows_at_once // TOGETHER * TOGETHER):
            count = rows.stop - rows.start
            S_bars = dual_coef.new_empty(len(places), count, len(coefficients))
            parts = [slice(rows.start + s.start, rows.start + s.stop) for s in blocks(count, IMAGES_AT_A_CALL // 4)]
            _share(work, [(rows.start, S_bars, part) for part in parts])
            _contract(S_bars[:, :, :n_z], patches, dual_coef, total.patches[:, rows])
        at = 0
        for sum_of_bars, q in zip(total.variances, x.variances, strict=True):
            bars = variance_bars[:, at : at + q[0].numel(), :outputs].transpose(1, 2)
            sum_of_bars += bars.reshape(sum_of_bars.shape)
            at += q[0].numel()

    def _pair_kernel(self, x: LaneEmbedding, z: LaneEmbedding) -> Float[Tensor, "n_x n_z"]:
        blocks_of_z = range(-(-len(z.images) // LANES))
        pairs = [(i, b) for b in blocks_of_z for i in range(len(x.images)) if z is not x or i < (b + 1) * LANES]
        return _pair_blocks(x, self._left_of(x), z, pairs)[:, : len(z.images)]

    def _pair_diagonal(self, x: LaneEmbedding) -> Float[Tensor, " n"]:
        coefficients, norms, inverses = self._left_of(x)
        # Rounded up, the correlation of a position with itself counts as exactly 1.
        above = inverses * (1 + 8 * np.finfo(inverses.dtype).eps)
        pairs = [(i, i // LANES) for i in range(len(x.images))]
        return _pair_blocks(x, [coefficients, norms, above.astype(inverses.dtype)], x, pairs).diagonal().clone()

    def _left_of(self, x: LaneEmbedding) -> list[Any]:
        """The left side of the images last used: it is large, and serves all their tiles before others come."""
        if self._left is None or self._left[0] is not x:
            self._left = x, _arrays(x.left())
        return self._left[1]


def _contract(
    S_bars: Float[Tensor, "positions n_x n_z"],
    patches: Float[Tensor, "positions n_z r"],
    dual_coef: Float[Tensor, "n_z k"],
    total: Float[Tensor, "positions n_x k r"],
) -> None:
    """Add the sum over images i of S_bars[u, x, i] dual_coef[i, o] patches[u, i] to `total`, all outputs o at once.

    The coefficients multiply whichever side is smaller: the patches, or the adjoints.
    """
    n_x, (_, n_z, r), k = S_bars.shape[1], patches.shape, dual_coef.shape[1]
    for part in blocks(len(patches), CHUNK_BYTES // (n_z * k * min(n_x, r) * patches.element_size())):
        if n_x < r:
            weighted = (S_bars[part, :, None] * dual_coef.T).flatten(1, 2)
            total[part].view(-1, n_x * k, r).baddbmm_(weighted, patches[part])
        else:
            weighted = (patches[part, :, None] * dual_coef[:, :, None]).flatten(2)
            total[part].view(-1, n_x, k * r).baddbmm_(S_bars[part], weighted)


def _pair_blocks(
    x: LaneEmbedding, left: list[Any], z: LaneEmbedding, pairs: list[tuple[int, int]]
) -> Float[Tensor, "n_x lanes_z"]:
    """The kernel of images x with blocks of sixteen images z, where positions are coupled."""
    dtype, grid = x.images.numpy().dtype, (x.images.shape[2], x.images.shape[3])
    program = compiled_pair_program(x.recursion, grid, dtype, from_pixels=x.from_pixels)
    taps, right = x.taps, _arrays(z.right)
    places, offsets, scale, bias = taps.places.numpy(), taps.offsets.numpy(), *map(dtype.type, (taps.scale, taps.bias))
    out = x.images.new_zeros(len(x.images), len(z.images) + -len(z.images) % LANES)
    widest = LANES * max(int(program.steps[:, 2].max()), int(program.cols[:, :, 1].max()))
    kept = [LANES * int(r[:, 2].max() * c[:, 1].max()) for r, c in zip(program.rows, program.cols, strict=True)]

    def work(items: Iterator[tuple[int, int]]) -> None:
        room = x.images.new_zeros(4, widest).numpy()
        summed = x.images.new_empty(2, sum(kept)).numpy()
        pooled = x.images.new_empty(2, int(program.stages[-1, -1]) * LANES).numpy()
        counts = np.zeros((3, len(kept)), dtype=np.int64)
        for image, block in items:
            pair_kernel_block(
                program, places, offsets, scale, bias, *left, image, *right, block, taps.stored, _positions(x),
                room, summed, np.cumsum([0, *kept]), counts, pooled, out.numpy(),
            )  # fmt: skip

    _share(work, pairs)
    return out


def _met(recursion: Recursion, images: Images, factor: Tensor | None, with_patches: bool) -> Embedding:
    """The embedding of images whose positions are coupled, without the covariance of all pairs."""
    window = recursion.architecture.first.window
    patches = None
    if factor is not None:
        patches = filter_patches(images, factor, window)
    elif with_patches:
        patches = unfold_patches(images, window)
    return Embedding(images, patches, own_variances(recursion, images, patches))


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


def _program(x: LaneEmbedding) -> Program:
    height, width = x.images.shape[-2:]
    return compiled_program(x.recursion, (height, width), x.images.numpy().dtype, from_pixels=x.from_pixels)


def _positions(x: LaneEmbedding) -> int:
    return sum(q[0].numel() for q in x.variances)


def _arrays(side: Iterable[Tensor]) -> list[Any]:
    return [t.numpy() for t in side]


def _share(work: Callable[[Iterator[Any]], None], items: Sequence[Any]) -> None:
    """Share items between as many threads as torch uses; compiled code holds no interpreter lock."""
    threads = min(torch.get_num_threads(), len(items))
    queue: SimpleQueue[Any] = SimpleQueue()
    for item in [*items, *[None] * threads]:
        queue.put(item)
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, iter(queue.get, None)) for _ in range(threads)]:
            done.result()
