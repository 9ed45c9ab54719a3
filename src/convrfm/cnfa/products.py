"""Every product with a weight in one layout: filters and output gradients as blocks, one block per group.

A product is `z = W x[u]` at every position u. Here W is `(groups, rows, d)` and the gradient delta with respect to z is
`(lead, groups, rows, positions)`, so that nothing downstream knows what a convolution or an einsum is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from .windows import output_windows


@runtime_checkable
class Product(Protocol):
    """What one call of a convolution or of a matrix product does with a weight."""

    @property
    def kind(self) -> str:
        """Its name in the report."""

    @property
    def patch_shape(self) -> tuple[int, ...]:
        """The shape that one group's patch has before flattening."""

    def position_axes(self, ndim: int) -> Sequence[int]:
        """Axes of an output of so many axes that may hold images: W is the same along them."""

    def filters(self, weight: Tensor) -> Float[Tensor, "groups rows d"]:
        """W of each group, from the weight that was multiplied."""

    def blocks(self, delta: Float[Tensor, "lead ..."]) -> Float[Tensor, "lead groups rows positions"]:
        """Gradients with respect to the output, with a leading axis, as `filters` orders its rows."""

    def respond(
        self, entered: Tensor, filters: Float[Tensor, "groups rows d"]
    ) -> Float[Tensor, "n all_rows *positions"]:
        """Other filters in the place of W, on what the product took in."""


@dataclass(frozen=True)
class Convolution:
    """`conv1d`, `conv2d` or `conv3d`.

    Attributes:
        weight_shape: `(c_out, c_in / groups, *window)`.
        groups: Of channels.
        options: The stride, padding and dilation of the call.
    """

    weight_shape: tuple[int, ...]
    groups: int
    options: dict[str, Any]

    @property
    def axes(self) -> int:
        """Of the grid of positions."""
        return len(self.weight_shape) - 2

    @property
    def kind(self) -> str:
        """As the layer of `torch.nn` is called."""
        return f"Conv{self.axes}d"

    @property
    def patch_shape(self) -> tuple[int, ...]:
        """`(channels, *window)`."""
        return self.weight_shape[1:]

    def position_axes(self, ndim: int) -> tuple[int, ...]:
        """The batch, if there is one."""
        return tuple(range(ndim - self.axes - 1))

    def filters(self, weight: Tensor) -> Float[Tensor, "groups rows d"]:
        """Output channels are rows."""
        return weight.reshape(self.groups, len(weight) // self.groups, -1)

    def blocks(self, delta: Float[Tensor, "lead ..."]) -> Float[Tensor, "lead groups rows positions"]:
        """`(lead, c_out, *grid)`, or `(lead, m, c_out, *grid)`."""
        return _channel_blocks(delta.flatten(-self.axes), self.groups)

    def respond(
        self, entered: Tensor, filters: Float[Tensor, "groups rows d"]
    ) -> Float[Tensor, "n all_rows *positions"]:
        """The same convolution without its bias."""
        images = entered.reshape(-1, *entered.shape[-1 - self.axes :])
        convolve: Any = (functional.conv1d, functional.conv2d, functional.conv3d)[self.axes - 1]
        weight = filters.flatten(0, 1).unflatten(-1, self.patch_shape)
        return convolve(images, weight, groups=self.groups, **self.options)


@dataclass(frozen=True)
class TransposedConvolution:
    """`conv_transpose1d`, `conv_transpose2d` or `conv_transpose3d`: a patch is the channels at one input position.

    Attributes:
        weight_shape: `(c_in, c_out / groups, *window)`.
        groups: Of channels.
        counts: How many input positions there are along each axis.
        strides: Along each axis, like the attributes below.
        paddings: Likewise.
        dilations: Likewise.
    """

    weight_shape: tuple[int, ...]
    groups: int
    counts: tuple[int, ...]
    strides: tuple[int, ...]
    paddings: tuple[int, ...]
    dilations: tuple[int, ...]

    @property
    def kind(self) -> str:
        """As the layer of `torch.nn` is called."""
        return f"ConvTranspose{len(self.counts)}d"

    @property
    def patch_shape(self) -> tuple[int, ...]:
        """Channels alone."""
        return (self.weight_shape[0] // self.groups,)

    def position_axes(self, ndim: int) -> tuple[int, ...]:
        """The batch, if there is one."""
        return tuple(range(ndim - len(self.counts) - 1))

    def filters(self, weight: Tensor) -> Float[Tensor, "groups rows d"]:
        """A row for each output channel and place in the window."""
        return weight.reshape(self.groups, len(weight) // self.groups, -1).mT

    def blocks(self, delta: Float[Tensor, "lead ..."]) -> Float[Tensor, "lead groups rows positions"]:
        """Every input position has the window of the output that it reaches."""
        axes = len(self.counts)
        flat = delta.flatten(0, -2 - axes)
        windows = output_windows(flat, self.counts, self.weight_shape[2:], self.strides, self.paddings, self.dilations)
        return _channel_blocks(windows.unflatten(0, delta.shape[: -1 - axes]), self.groups)

    def respond(
        self, entered: Tensor, filters: Float[Tensor, "groups rows d"]
    ) -> Float[Tensor, "n all_rows *positions"]:
        """Filters applied to the channels of every input position."""
        grouped = entered.reshape(-1, self.groups, *self.patch_shape, *self.counts)
        by_group = filters.reshape(self.groups, -1, *self.patch_shape)
        return torch.einsum("grd,ngd...->ngr...", by_group, grouped).flatten(1, 2)


@dataclass(frozen=True)
class Contraction:
    """A matrix product in the most general form: an einsum of an input and a weight, each axis with a label.

    Attributes:
        name: Of the function that was called.
        entered: Labels of the input's axes; None for an axis of size 1 that is broadcast. Likewise `weight`.
        weight: Labels of the weight's axes.
        out: Labels of the output's axes.
        weight_shape: Sizes of the weight's axes.
    """

    name: str
    entered: tuple[int | None, ...]
    weight: tuple[int | None, ...]
    out: tuple[int, ...]
    weight_shape: tuple[int, ...]

    @property
    def kind(self) -> str:
        """As the layer of `torch.nn` is called, or the function."""
        return "Linear" if self.name == "linear" else self.name

    @property
    def is_product(self) -> bool:
        """Whether something is contracted, and everything that is contracted is an entry of a patch."""
        factors = [[label for label in labels if label is not None] for labels in (self.entered, self.weight)]
        summed_alone = set(factors[0]).symmetric_difference(factors[1]) - set(self.out)
        return bool(self._patch) and not summed_alone and all(len(set(labels)) == len(labels) for labels in factors)

    @property
    def patch_shape(self) -> tuple[int, ...]:
        """Sizes of the contracted axes."""
        return tuple(self._size(label) for label in self._patch)

    def position_axes(self, ndim: int) -> tuple[int, ...]:
        """All axes that the weight does not have."""
        return tuple(axis for axis in range(ndim) if self.out[axis] not in self.weight)

    def filters(self, weight: Tensor) -> Float[Tensor, "groups rows d"]:
        """Axes in both input and output are groups, axes of the output alone are rows."""
        order = [self.weight.index(label) for label in (*self._groups, *self._rows, *self._patch)]
        unlabeled = [axis for axis, label in enumerate(self.weight) if label is None]
        return weight.permute(*unlabeled, *order).reshape(self._count(self._groups), self._count(self._rows), -1)

    def blocks(self, delta: Float[Tensor, "lead ..."]) -> Float[Tensor, "lead groups rows positions"]:
        """Positions are all axes that are neither groups nor rows."""
        groups = [1 + self.out.index(label) for label in self._groups]
        rows = [1 + self.out.index(label) for label in self._rows]
        positions = [1 + axis for axis in self.position_axes(len(self.out))]
        ordered = delta.permute(0, *groups, *rows, *positions)
        return ordered.reshape(len(delta), self._count(self._groups), self._count(self._rows), -1)

    def respond(
        self, entered: Tensor, filters: Float[Tensor, "groups rows d"]
    ) -> Float[Tensor, "n all_rows *positions"]:
        """Filters applied along the contracted axes; rows come after the first position."""
        inner = [self.entered.index(label) for label in (*self._groups, *self._patch)]
        positions = [axis for axis in range(entered.ndim) if axis not in inner]
        ordered = entered.permute(*positions, *inner)
        groups, d = self._count(self._groups), filters.shape[-1]
        patches = ordered.reshape(*ordered.shape[: len(positions)], groups, d)
        responses = torch.einsum("...gd,grd->...gr", patches, filters.reshape(groups, -1, d)).flatten(-2)
        return torch.atleast_2d(responses).movedim(-1, 1)

    @property
    def _groups(self) -> list[int]:
        return [label for label in self.out if label in self.weight and label in self.entered]

    @property
    def _rows(self) -> list[int]:
        return [label for label in self.out if label in self.weight and label not in self.entered]

    @property
    def _patch(self) -> list[int]:
        return [label for label in self.weight if label is not None and label in self.entered and label not in self.out]

    def _size(self, label: int) -> int:
        return self.weight_shape[self.weight.index(label)]

    def _count(self, labels: Sequence[int]) -> int:
        return prod(self._size(label) for label in labels)


def _channel_blocks(delta: Float[Tensor, "lead ..."], groups: int) -> Float[Tensor, "lead groups rows positions"]:
    """`(lead, channels, positions)`, or `(lead, m, channels, positions)` with m more positions."""
    if delta.ndim == 4:
        delta = delta.movedim(1, 2).flatten(2)
    return delta.reshape(len(delta), groups, -1, delta.shape[-1])
