"""Architectures: a tuple of layers from images to one output, and the usual families of them."""

from dataclasses import dataclass
from typing import Literal, cast, get_args

from ..errors import InputError
from .activations import Activation, ReLU
from .integers import positive_integer
from .layers import AvgPool, Conv, Flatten, GlobalAvgPool, HiddenLayer, Layer, Readout


@dataclass(frozen=True, init=False)
class Architecture:
    """A convolutional network of infinite width: a convolution first, a readout last.

    Args:
        layers: `Conv`, activations (`ReLU` and the others), `AvgPool`, then one readout (`Flatten` or `GlobalAvgPool`).

    Raises:
        InputError: if the first layer is no convolution, or the last, and only the last, is not a readout.

    Example:
        >>> Architecture(Conv(3), ReLU(), Flatten()).patch_size
        3
    """

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Layer) -> None:
        object.__setattr__(self, "layers", layers)
        names = ", ".join(type(layer).__name__ for layer in layers) or "nothing"
        if not all(isinstance(layer, get_args(Layer)) for layer in layers):
            raise InputError(f"an Architecture takes layers of convrfm.kernels; got {names}.")
        readouts = [isinstance(layer, get_args(Readout)) for layer in layers]
        if len(layers) < 2 or not isinstance(layers[0], Conv) or readouts != [False] * (len(layers) - 1) + [True]:
            raise InputError(
                "an Architecture starts with a Conv and ends with its only readout, Flatten() or GlobalAvgPool(); "
                f"got {names}."
            )
        if any(isinstance(layer, Conv) and layer.contrast is not None for layer in layers[1:]):
            raise InputError("only the first Conv sees patches of the images: contrast must be None in all others.")

    def __repr__(self) -> str:
        return f"Architecture({', '.join(map(repr, self.layers))})"

    @property
    def on_patches(self) -> "Architecture":
        """The same on images of which every pixel is a patch already."""
        first = Conv(1, self.first.weight_std, self.first.bias_std)
        return Architecture(first, *self.layers[1:])

    @property
    def first(self) -> Conv:
        """The convolution whose patches carry the metric M."""
        return cast(Conv, self.layers[0])

    @property
    def hidden(self) -> tuple[HiddenLayer, ...]:
        """The layers between the first convolution and the readout."""
        return cast(tuple[HiddenLayer, ...], self.layers[1:-1])

    @property
    def readout(self) -> Readout:
        """The last layer."""
        return cast(Readout, self.layers[-1])

    @property
    def patch_size(self) -> int:
        """The side q of the first convolution."""
        return self.first.size

    @property
    def couples_positions(self) -> bool:
        """Whether different positions of two images meet, as pooling makes them."""
        pools = any(isinstance(layer, AvgPool) for layer in self.hidden)
        return pools or isinstance(self.readout, GlobalAvgPool)

    @property
    def least_side(self) -> int:
        """Of the smallest images into which every window fits."""
        side = 1
        for layer in reversed(self.layers[:-1]):
            if isinstance(layer, Conv | AvgPool):
                side = layer.window.least_length(side)
        return side

    def grids(self, height: int, width: int) -> list[tuple[int, int]]:
        """The grid of positions after each layer but the readout.

        Raises:
            InputError: for images into which not every window fits.
        """
        if min(height, width) < (least := self.least_side):
            unpadded = any(isinstance(layer, Conv) and layer.padding == "valid" for layer in self.layers)
            pools = any(isinstance(layer, AvgPool) for layer in self.layers)
            ways = (["a smaller patch_size", "fewer layers"] if unpadded else []) + (["less pooling"] if pools else [])
            raise InputError(
                f"images of {height} x {width} pixels are too small for this architecture, which takes {least} x {least} and "
                f"more. Pass larger images, or use {' or '.join(', '.join(ways).rsplit(', ', 1))}.",
                in_python='Or convolutions with padding="same".' if unpadded else "",
            )
        grids, grid = [], (height, width)
        for layer in self.layers[:-1]:
            if isinstance(layer, Conv | AvgPool):
                grid = (layer.window.output_length(grid[0]), layer.window.output_length(grid[1]))
            grids.append(grid)
        return grids

    @property
    def activations(self) -> list[Activation]:
        """The activations, in order."""
        return [layer for layer in self.hidden if isinstance(layer, Activation)]


def vanilla(depth: int, patch_size: int = 3, pooling: int | Literal["global"] | None = None) -> Architecture:
    """The paper's network: [Conv, ReLU] repeated `depth` times without padding, then Flatten.

    Args:
        depth: convolutions.
        patch_size: their side.
        pooling: what is averaged in front of the readout, so that what a patch holds counts more than where it lies: squares
            of positions of this side, or with "global" all positions. The kernel meets all pairs of positions that are
            averaged together.

    Example:
        >>> vanilla(depth=3).grids(32, 32)[-1]
        (26, 26)
        >>> vanilla(depth=3, pooling=2).grids(32, 32)[-1]
        (13, 13)
    """
    depth = positive_integer("depth", depth)
    convolutions = [layer for _ in range(depth) for layer in (Conv(patch_size), ReLU())]
    if pooling == "global":
        return Architecture(*convolutions, GlobalAvgPool())
    return Architecture(*convolutions, *([] if pooling is None else [AvgPool(pooling)]), Flatten())


def myrtle(depth: int) -> Architecture:
    """Myrtle-5, -7 or -10 of Shankar et al., "Neural kernels without tangents" (2020), for images of 32 x 32.

    Stages of same-padded Conv(3) + ReLU, two poolings by 2 between them and three after the last, then Flatten.
    """
    stages = {5: (2, 1, 1), 7: (2, 2, 2), 10: (3, 3, 3)}
    if depth not in stages:
        raise InputError(f"myrtle comes in depths {sorted(stages)}; got {depth!r}.")
    layers: list[Layer] = []
    for count, pools in zip(stages[depth], (1, 1, 3), strict=True):
        for _ in range(count):
            layers += [Conv(3, padding="same"), ReLU()]
        layers += [AvgPool(2)] * pools
    return Architecture(*layers, Flatten())
