"""Tiles of pooled architectures: which pairs of images go through the compiled recursion, in which thread's memory."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from ....lanes.vectors import LANES
from ....threads import arrays, share
from ...protocol import Gradient
from ..lane_embedding import LaneEmbedding
from .backward import pair_gradient_block
from .forward import pair_kernel_block
from .program import COUNT, FIRST, KEPT, STORED, PairProgram, compiled_pair_program


def pair_kernel(x: LaneEmbedding, left: list[Any], z: LaneEmbedding, budget: int) -> Float[Tensor, "n_x n_z"]:
    """The kernel of every image of x with every image of z; where `z is x`, only the upper half is right."""
    blocks_of_z = range(-(-len(z.images) // LANES))
    pairs = [(i, b) for b in blocks_of_z for i in range(len(x.images)) if z is not x or i < (b + 1) * LANES]
    return _kernel_blocks(x, left, z, pairs, budget)[:, : len(z.images)]


def pair_diagonal(x: LaneEmbedding, left: list[Any], budget: int) -> Float[Tensor, " n"]:
    """K(x, x) of every image."""
    coefficients, norms, inverses = left
    # Rounded up, the correlation of a position with itself counts as exactly 1.
    above = (inverses * (1 + 8 * np.finfo(inverses.dtype).eps)).astype(inverses.dtype)
    pairs = [(i, i // LANES) for i in range(len(x.images))]
    return _kernel_blocks(x, [coefficients, norms, above], x, pairs, budget).diagonal().clone()


def add_pair_gradient(
    x: LaneEmbedding, left: list[Any], z: LaneEmbedding, dual_coef: Float[Tensor, "n_z k"], budget: int, total: Gradient
) -> None:
    """Add the share of images z in the gradient at images x to `total`."""
    assert z.patches is not None
    program, products, right, patches = _program(x), _products(x), arrays(z.right), z.patches_side_by_side
    tiny = program.numbers.dtype.type(8 * np.finfo(program.numbers.dtype).eps)
    coefficients = pad(dual_coef, (0, 0, 0, -len(dual_coef) % LANES))
    variance_bars = x.images.new_zeros(len(x.images), x.norms_of_an_image, dual_coef.shape[1])
    sizes = _Sizes(program)
    shapes = [*sizes.forward, *sizes.backward, tuple(patches.shape[1:]), (x.norms_of_an_image, LANES)]
    entries = z.patches.shape[1]

    def work(images: Iterator[int]) -> None:
        room = [x.images.new_zeros(shape) for shape in shapes]
        counts = np.zeros((2, len(program.steps)), dtype=np.int64)
        for image in images:
            for block in range(-(-len(dual_coef) // LANES)):
                pair_gradient_block(
                    program, *products, tiny, *left, image, *right, block, x.taps.stored, x.norms_of_an_image,
                    patches.numpy(), program.first_covariance, sizes.slots, counts, *arrays(room),
                )  # fmt: skip
                of_block = coefficients[block * LANES : (block + 1) * LANES]
                patch_bars, q_bars = room[-2:]
                total.patches[:, image] += (patch_bars[:, :entries] @ of_block).transpose(1, 2)
                variance_bars[image] += q_bars @ of_block

    share(work, range(len(x.images)), _threads(shapes, x, budget))
    at = 0
    for sum_of_bars, q in zip(total.variances, x.variances, strict=True):
        bars = variance_bars[:, at : at + q[0].numel()].transpose(1, 2)
        sum_of_bars += bars.reshape(sum_of_bars.shape)
        at += q[0].numel()


def _kernel_blocks(
    x: LaneEmbedding, left: list[Any], z: LaneEmbedding, pairs: list[tuple[int, int]], budget: int
) -> Float[Tensor, "n_x lanes_z"]:
    """The kernel of images x with blocks of sixteen images z."""
    program, products, right = _program(x), _products(x), arrays(z.right)
    sizes = _Sizes(program)
    out = x.images.new_zeros(len(x.images), len(z.images) + -len(z.images) % LANES)

    def work(items: Iterator[tuple[int, int]]) -> None:
        room = arrays(x.images.new_zeros(shape) for shape in sizes.forward)
        counts = np.zeros((2, len(program.steps)), dtype=np.int64)
        for image, block in items:
            pair_kernel_block(
                program, *products, *left, image, *right, block, x.taps.stored, x.norms_of_an_image,
                sizes.slots, counts, *room, out.numpy(),
            )  # fmt: skip

    share(work, pairs, _threads(sizes.forward, x, budget))
    return out


class _Sizes:
    """What one thread needs for a program, as shapes of arrays.

    Attributes:
        forward: five rows, summed rows for windows, what a picture meets, and pooled covariances.
        backward: four fields of a picture, and the adjoints of the first covariance on one line of row pairs.
        slots: where each step's summed rows begin.
    """

    def __init__(self, program: PairProgram) -> None:
        heights, widths = (lines[:, :, COUNT].max(1) for lines in (program.row_lines, program.col_lines))
        pictures = heights * widths * LANES
        kept = program.row_lines[:-1, :, KEPT].max(1) * widths[1:] * LANES
        met = max(int(pictures[first:last].sum()) for first, last in itertools.pairwise(program.stages[:, FIRST]))
        pooled = int(program.stages[-1, STORED]) * LANES
        height = int(heights[program.first_covariance])
        self.slots = np.cumsum([0, *kept])
        self.forward = [(5, int(widths.max()) * LANES), (2, int(kept.sum())), (2, met), (2, pooled)]
        self.backward = [(4, int(pictures.max())), (height, len(program.partners), LANES)]


def _program(x: LaneEmbedding) -> PairProgram:
    grid = (x.images.shape[2], x.images.shape[3])
    return compiled_pair_program(x.recursion, grid, x.images.numpy().dtype, from_pixels=x.from_pixels)


def _products(x: LaneEmbedding) -> list[Any]:
    """What the first covariance is made of, but for the images themselves."""
    number = x.images.numpy().dtype.type
    return [*arrays((x.taps.places, x.taps.offsets)), number(x.taps.scale), number(x.taps.bias)]


def _threads(shapes: Sequence[tuple[int, ...]], x: LaneEmbedding, budget: int) -> int:
    """How many threads' memory fits the budget."""
    return max(1, budget // (sum(map(math.prod, shapes)) * x.images.element_size()))
