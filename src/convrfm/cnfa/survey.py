"""A first look at a network: what an image costs, whether images are independent, and where they are in each product."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import InputError
from .batches import Batch
from .capture import Pass, forward
from .cutting import Cut
from .directions import gradients, probe_directions
from .planning import Plan, plan
from .target import Target
from .values import copies, holding
from .watching import Use


@dataclass(frozen=True)
class ImageAxis:
    """The axis of a product's output that holds the images, each with one position or several.

    Attributes:
        axis: Its place.
        outer: Whether all positions of an image are neighbors; otherwise all images of a position are.
    """

    axis: int
    outer: bool

    def split(self, delta: Float[Tensor, "chunk ..."], n: int) -> Float[Tensor, "chunk n ..."]:
        """Images first, their further positions in the place of the axis."""
        axis = 1 + self.axis
        if self.outer:
            return delta.unflatten(axis, (n, -1)).movedim(axis, 1)
        return delta.unflatten(axis, (-1, n)).movedim(axis + 1, 1)

    def spares(self, image: int, delta: Float[Tensor, "chunk ..."] | None) -> bool:
        """Whether gradients at the positions of two images are zero at those of this one."""
        return delta is None or not self.split(delta, 2)[:, image].any()


@dataclass(frozen=True)
class Survey:
    """What was seen.

    Attributes:
        plan: What one image takes.
        independent: Whether the first image's outputs are the same alone and beside another, whose own do not reach back to the
            first.
        decides: Whether the network can decide by the images what it runs.
        outputs: Of the first image, alone.
        names: Of the products, in the order of their uses.
        axes: For every use of a product the axis of the images; None where a position belongs to several images or to
            none, as in a layer that sees no image.
    """

    plan: Plan
    independent: bool
    decides: bool
    outputs: Tensor
    names: Sequence[str]
    axes: Sequence[ImageAxis | None]

    @property
    def apart(self) -> bool:
        """Whether images can be taken together: every position of every product belongs to one, and decides for one."""
        return None not in self.axes and not self.decides

    def agrees(self, run: Pass, reversed_outputs: Tensor) -> bool:
        """Whether the first image's outputs, beside others, are those that it has alone, and all are those in reverse order."""
        outputs = run.outputs.detach()
        return _alike(self.outputs, outputs[0]) and _alike(reversed_outputs.flip(0), outputs)

    def fits(self, uses: Sequence[Use], n: int) -> bool:
        """Whether n images took the path through the network that was seen, all of them through every product."""
        return [use.name for use in uses] == list(self.names) and all(
            axis is not None and use.output_shape[axis.axis] % n == 0 for use, axis in zip(uses, self.axes, strict=True)
        )


def survey(network: nn.Module, batch: Batch, target: Target, cut: Cut, budget: int) -> Survey:
    """Run the first image alone, and beside the second (or beside itself, if there is no other).

    Raises:
        InputError: As `capture.forward`.
    """
    twice = len(batch) == 1
    pair_of = batch.take([0, 0] if twice else [0, 1])
    try:
        planned, run = plan(network, batch.take([0]), target, cut, budget)
        alone = _Alone.of(run)
        del run
    except InputError as error:  # perhaps a network that takes no single image
        try:
            planned, together = plan(network, pair_of, target, cut, budget)
        except InputError:
            raise error from error.__cause__
        return Survey(planned, False, together.decides, together.outputs[0].detach(), [], [None] * len(together.uses))
    with holding(copies(network)):
        return _compared(planned, alone, forward(network, pair_of, target))


@dataclass(frozen=True)
class _Alone:
    """What is kept of the first image's pass: no graph, and no weights."""

    outputs: Tensor
    decides: bool
    names: list[str]
    shapes: list[tuple[int, ...]]

    @classmethod
    def of(cls, run: Pass) -> "_Alone":
        names, shapes = [use.name for use in run.uses], [use.output_shape for use in run.uses]
        return cls(run.outputs[0].detach().clone(), run.decides, names, shapes)


def _compared(planned: Plan, alone: _Alone, pair: Pass) -> Survey:
    """What an image alone and two together show."""
    first = alone.outputs
    independent = _alike(first, pair.outputs[0].detach())
    names = [use.name for use in pair.uses]
    if alone.names != names:
        return Survey(planned, independent, alone.decides, first, names, [None] * len(names))
    touched, touched_by_other = (_touched(pair, image) for image in range(2))
    products = list(zip(alone.shapes, pair.uses, touched, touched_by_other, strict=True))
    axes = [_image_axis(*each) for each in products]
    reached_back = any(
        axis is not None and not axis.spares(0, others) for axis, (*_, others) in zip(axes, products, strict=True)
    )
    unclear = [
        axis is None and one != two.output_shape for axis, one, two in zip(axes, alone.shapes, pair.uses, strict=True)
    ]
    mixed = any(unclear) and any(
        mine is not None
        and others is not None
        and _grown_twice(one, two) is not None
        and bool(((mine != 0) & (others != 0)).any())
        for one, two, mine, others in products
    )
    return Survey(planned, independent and not mixed and not reached_back, alone.decides, first, names, axes)


def _alike(first: Tensor, second: Tensor) -> bool:
    if first.shape != second.shape:
        return False
    tolerance = min(0.2, 10 * torch.finfo(first.dtype).eps ** 0.5)
    return bool((first - second).abs().max() <= tolerance * first.abs().max())


def _touched(pair: Pass, image: int) -> list[Tensor | None]:
    """Gradients of one image's outputs alone, in a random direction."""
    directions = probe_directions(pair.outputs, 1, torch.Generator().manual_seed(0)).of_image(image)
    (found,) = gradients(directions, pair.uses, 1)
    return found


def _image_axis(
    alone: tuple[int, ...], pair: Use, delta: Float[Tensor, "1 ..."] | None, others: Float[Tensor, "1 ..."] | None
) -> ImageAxis | None:
    axis = _grown_twice(alone, pair)
    if axis is None or axis not in pair.product.position_axes(len(pair.output_shape)):
        return None
    either = [each for each in (ImageAxis(axis, True), ImageAxis(axis, False)) if each.spares(1, delta)]
    return next((each for each in either if each.spares(0, others)), either[0] if either else None)


def _grown_twice(alone: tuple[int, ...], pair: Use) -> int | None:
    """The only axis of the output that differs, if it is twice as long beside another image; None where axes come or go."""
    if len(alone) != len(pair.output_shape):
        return None
    sizes = list(zip(alone, pair.output_shape, strict=True))
    grown = [axis for axis, (one, two) in enumerate(sizes) if one != two]
    return grown[0] if len(grown) == 1 and sizes[grown[0]][1] == 2 * sizes[grown[0]][0] else None
