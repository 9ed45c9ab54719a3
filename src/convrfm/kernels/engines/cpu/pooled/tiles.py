"""Tiles of pooled architectures: which pairs of images go through the compiled recursion, in which thread's memory."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from ....lanes.vectors import LANES
from ....threads import share
from ...protocol import Gradient
from ..lane_embedding import LaneEmbedding, Side, add_variance_adjoints
from .backward import pair_gradient_block
from .forward import pair_kernel_block
from .program import COUNT, FIRST, KEPT, STORED, PairProgram, compiled_pair_program
from .structures import PairMemory


def pair_kernel(x: LaneEmbedding, left: Side, z: LaneEmbedding, budget: int) -> Float[Tensor, "n_x n_z"]:
    """The kernel of every image of x with every image of z."""
    pairs = list(itertools.product(range(len(x.images)), range(-(-len(z.images) // LANES))))
    return _kernel_blocks(x, left, z, pairs, budget)[:, : len(z.images)]


def pair_symmetric_kernel(x: LaneEmbedding, left: Side, budget: int) -> Float[Tensor, "n n"]:
    """The kernel of every image with every other and itself."""
    n = len(x.images)
    pairs = [(i, b) for b in range(-(-n // LANES)) for i in range(n) if i < (b + 1) * LANES]
    upper = _kernel_blocks(x, left, x, pairs, budget, itself=True)[:, :n].triu()
    return upper + upper.triu(1).T


def pair_diagonal(x: LaneEmbedding, left: Side, budget: int) -> Float[Tensor, " n"]:
    """K(x, x) of every image."""
    pairs = [(i, i // LANES) for i in range(len(x.images))]
    return _kernel_blocks(x, left, x, pairs, budget, itself=True).diagonal().clone()


def add_pair_gradient(
    x: LaneEmbedding, left: Side, z: LaneEmbedding, dual_coef: Float[Tensor, "n_z k"], budget: int, total: Gradient
) -> None:
    """Add the share of images z in the gradient at images x to `total`."""
    program, patches = _program(x), z.patches_side_by_side
    coefficients = pad(dual_coef, (0, 0, 0, -len(dual_coef) % LANES))
    variance_adjoints = x.images.new_zeros(len(x.images), program.norms, dual_coef.shape[1])
    sizes = _Sizes(program)
    taken = [tuple(patches.shape[1:]), (program.norms, LANES)]
    entries = z.contracted.shape[1]

    def work(images: Iterator[int]) -> None:
        memory = sizes.memory(x.images)
        patch_adjoints, q_adjoints = (x.images.new_zeros(shape) for shape in taken)
        for image in images:
            for block in range(-(-len(dual_coef) // LANES)):
                pair_gradient_block(
                    program, x.taps, left, z.right, image, block, memory,
                    patches.numpy(), patch_adjoints.numpy(), q_adjoints.numpy(),
                )  # fmt: skip
                of_block = coefficients[block * LANES : (block + 1) * LANES]
                total.patches[:, image] += (patch_adjoints[:, :entries] @ of_block).transpose(1, 2)
                variance_adjoints[image] += q_adjoints @ of_block

    bytes_of_thread = (sizes.numbers + sum(map(math.prod, taken))) * x.images.element_size()
    share(work, range(len(x.images)), max(1, budget // bytes_of_thread))
    add_variance_adjoints(variance_adjoints, total.variances)


def _kernel_blocks(
    x: LaneEmbedding,
    left: Side,
    z: LaneEmbedding,
    pairs: list[tuple[int, int]],
    budget: int,
    *,
    itself: bool = False,
) -> Float[Tensor, "n_x lanes_z"]:
    """The kernel of images x with blocks of sixteen images z; `itself`: z is x, and an image meets itself."""
    program = _program(x)
    sizes = _Sizes(program)
    out = x.images.new_zeros(len(x.images), len(z.images) + -len(z.images) % LANES)

    def work(items: Iterator[tuple[int, int]]) -> None:
        memory, met = sizes.memory(x.images), x.images.new_empty(len(x.images), LANES)
        for image, block in items:
            if itself and block == image // LANES:
                right = _meeting_itself(x, program.norms, image)
                pair_kernel_block(program, x.taps, left, right, image, 0, memory, met.numpy())
                out[image, block * LANES : (block + 1) * LANES] = met[image]
            else:
                pair_kernel_block(program, x.taps, left, z.right, image, block, memory, out.numpy())

    share(work, pairs, max(1, budget // (sizes.numbers * x.images.element_size())))
    return out


def _meeting_itself(x: LaneEmbedding, norms: int, image: int) -> Side:
    """The block of sixteen in which an image stands, with its own inverse roots rounded up.

    The correlation of one of its positions with itself counts as exactly 1 then.
    """
    block, lane = divmod(image, LANES)
    places, numbers = (slice(block * each * LANES, (block + 1) * each * LANES) for each in (x.taps.stored, norms))
    above = x.right.inverses[numbers].reshape(-1, LANES).copy()
    above[:, lane] *= 1 + 8 * np.finfo(above.dtype).eps
    return Side(x.right.channels[places], x.right.norms[numbers], above.ravel())


class _Sizes:
    """What one thread needs for a program."""

    def __init__(self, program: PairProgram) -> None:
        heights, widths = (lines[:, :, COUNT].max(1) for lines in (program.row_lines, program.col_lines))
        sections = heights * widths * LANES
        kept = program.row_lines[:-1, :, KEPT].max(1) * widths[1:] * LANES
        met = max(int(sections[first:last].sum()) for first, last in itertools.pairwise(program.stages[:, FIRST]))
        first = program.first_covariance
        self._slots, self._steps = np.cumsum([0, *kept]), len(program.steps)
        self._shapes: dict[str, tuple[int, ...]] = {
            "rows": (5, int(widths.max()) * LANES),
            "summed": (2, int(kept.sum())),
            "met": (2, met),
            "pooled": (2, int(program.stages[-1, STORED]) * LANES),
            "fields": (4, int(sections.max())),
            "weights": (int(heights[first]), len(program.partners), LANES),
        }

    @property
    def numbers(self) -> int:
        """How many in all."""
        return sum(map(math.prod, self._shapes.values()))

    def memory(self, like: Tensor) -> PairMemory:
        """One thread's, aligned as torch aligns it."""
        arrays = {name: like.new_zeros(shape).numpy() for name, shape in self._shapes.items()}
        return PairMemory(slots=self._slots, counts=np.zeros((2, self._steps), dtype=np.int64), **arrays)


def _program(x: LaneEmbedding) -> PairProgram:
    grid = (x.images.shape[2], x.images.shape[3])
    return compiled_pair_program(x.recursion, grid, x.images.numpy().dtype, from_pixels=x.from_pixels)
