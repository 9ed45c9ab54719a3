"""How many images an engine reads at a time, and of how many it keeps what it has read, within a memory budget."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..growth import whole_of
from ..layers import AvgPool, Conv
from ..recursion.recursion import patch_entries
from .protocol import BoundEngine

LARGEST_BLOCK = 128  # images; small enough that progress is seen, large enough that embedding them costs nothing
LARGEST_GRADIENT = 64  # images; their gradients are the largest temporary
TIMES_ON_A_GPU = 16  # which many pairs keep busy
LARGEST_GRADIENT_ON_A_GPU = 1 << 13  # where x is z and one block, half of the pairs mirror the others

OF_A_VARIANCE = 5  # itself, and a norm and an inverse root on either side of a pair
OF_A_PIXEL = 2  # coefficients on the left of a pair, lanes on its right
OF_A_PIXEL_WITH_PATCHES = 3  # and the margins and channels last from which patches are copied
LANES_FILLED_UP = 3  # at most, behind a position's entries, up to a multiple of four
OF_A_PATCH = 2  # while it is embedded: as it is cut out, and as it meets the metric
OF_A_GRADIENT = 3  # for each output: the sum, what one tile adds, and its factor


@dataclass(frozen=True)
class MemoryPlan:
    """Numbers that one image takes, and what therefore fits.

    What costs the most and takes the least, each image's variances, is kept first; then what a side of a pair is read from;
    then patches.

    Attributes:
        images: how many there are; where a few of them are timed, how many others the whole has.
        embedding: kept of an image whatever is asked for: variances, its own first covariance, and patches where the engine
            embeds them.
        side: what either side of a pair is read from.
        patches: at all positions, where the engine makes them on demand; 0 where they are in `embedding`.
        temporaries: what else is alive while an image is embedded and its gradients are summed up.
        most: how many images a block may have.
        budget: numbers that a block may take with all that belongs to it, and all that is kept as many again.
    """

    images: int
    embedding: int
    side: int
    patches: int
    temporaries: int
    most: int
    budget: int

    @property
    def block(self) -> int:
        """How many images are embedded at a time."""
        return max(1, min(self.most, self.budget // (self.embedding + self.side + self.temporaries)))

    @property
    def kept(self) -> int:
        """Of how many images the embedding is kept."""
        return min(self.images, self.budget // self.embedding)

    @property
    def keeps_sides(self) -> bool:
        """Whether the sides of all images are kept."""
        return (self.embedding + self.side) * self.images <= self.budget

    @property
    def keeps_patches(self) -> bool:
        """Whether the patches of all images are kept."""
        return not self.patches or (self.embedding + self.side + self.patches) * self.images <= self.budget

    @property
    def keeps_all(self) -> bool:
        """Whether every image is embedded but once."""
        return self.keeps_sides and self.kept == self.images


def largest_block(x: Tensor, *, gradients: bool = False) -> int:
    """How many images at once are enough, whatever the budget."""
    if gradients:
        return LARGEST_GRADIENT_ON_A_GPU if x.is_cuda else LARGEST_GRADIENT
    return LARGEST_BLOCK * (TIMES_ON_A_GPU if x.is_cuda else 1)


def variances_of(engine: BoundEngine[Any], x: Tensor) -> int:
    """How many variances an image has, over all activations."""
    architecture = engine.recursion.architecture
    in_front = zip(architecture.hidden, architecture.grids(*x.shape[-2:]), strict=False)
    return sum(rows * cols for layer, (rows, cols) in in_front if not isinstance(layer, Conv | AvgPool))


def contracted_entries(engine: BoundEngine[Any], x: Tensor, factor: Tensor | None) -> int:
    """The entries of a patch as adjoints are contracted with it: those of L x[u], or of x[u]."""
    embeds = factor is not None and engine.embeds_patches(factor)
    return len(factor) if factor is not None and embeds else patch_entries(engine.recursion, x)


def plan(
    engine: BoundEngine[Any],
    x: Tensor,
    factor: Tensor | None,
    budget: int,
    *,
    with_patches: bool = False,
    outputs: int = 0,
    beside: int = 0,
) -> MemoryPlan:
    """The plan for images.

    Args:
        engine: embeds the images.
        x: the images.
        factor: of the metric; None for the identity.
        budget: bytes; half of it bounds a block, and half what is kept of all blocks.
        with_patches: whether adjoints are contracted with their patches.
        outputs: how many have gradients at a block's images; 0 for none.
        beside: numbers that an image of a block takes besides.
    """
    rows, cols = engine.recursion.architecture.grids(*x.shape[-2:])[0]
    positions, embeds = rows * cols, engine.embeds_patches(factor)
    entries = contracted_entries(engine, x, factor)
    unfolds = with_patches or factor is not None or engine.unfolds
    patches = positions * entries if unfolds else positions
    embedding = positions + OF_A_VARIANCE * variances_of(engine, x) + (patches if embeds else 0)
    side = (OF_A_PIXEL_WITH_PATCHES if with_patches else OF_A_PIXEL) * x[0].numel()
    if embeds and entries < patch_entries(engine.recursion, x):
        side = LANES_FILLED_UP * positions
    own = engine.own_entries((x.shape[2], x.shape[3]), outputs)
    return MemoryPlan(
        images=whole_of(0, len(x))[1],
        embedding=embedding,
        side=side + (patches if embeds else 0),
        patches=0 if embeds else patches,
        temporaries=patches * (OF_A_PATCH + OF_A_GRADIENT * outputs) + own + beside,
        most=largest_block(x, gradients=outputs > 0),
        budget=budget // 2 // x.element_size(),
    )
