"""The layers of an architecture: what each one is, with no computation."""

from dataclasses import dataclass
from typing import get_args

from ..errors import InputError
from ..maths.windows import Padding, Window
from .activations.activation import Activation
from .integers import positive_integer
from .scales import check_finite, is_finite


@dataclass(frozen=True)
class Conv:
    """A convolution with infinitely many Gaussian filters, normalized as Neural Tangents.

    The covariance after it is `weight_std^2 * mean over the window (first layer: and over input channels) +
    bias_std^2`; zeros outside the image count.

    Args:
        size: side q of the square filters.
        weight_std: standard deviation of the weights, times the square root of the fan-in.
        bias_std: standard deviation of the biases.
        padding: "valid", "same" (zeros) or "circular".
        stride: step between positions.
        contrast: of the first convolution: None for patches as they are; or a variance c: every patch counts less its mean and
            over the root of c plus its variance. The metric M and gradients are those of such patches.
    """

    size: int
    weight_std: float = 1.0
    bias_std: float = 0.0
    padding: Padding = "valid"
    stride: int = 1
    contrast: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", positive_integer("Conv size", self.size))
        object.__setattr__(self, "stride", positive_integer("Conv stride", self.stride))
        _check_scales(self.weight_std, self.bias_std)
        if self.contrast is not None and not (is_finite(self.contrast) and self.contrast > 0):
            raise InputError(f"contrast must be a positive variance or None; got {self.contrast!r}.")
        if self.padding not in get_args(Padding):
            raise InputError(f"padding must be one of {get_args(Padding)}; got {self.padding!r}.")

    @property
    def window(self) -> Window:
        """The window of positions that one filter sees."""
        return Window(self.size, self.stride, self.padding, self.contrast)


@dataclass(frozen=True)
class AvgPool:
    """Average pooling over squares that do not overlap; a remainder at the border is dropped."""

    size: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", positive_integer("AvgPool size", self.size))

    @property
    def window(self) -> Window:
        """The window that is averaged."""
        return Window(self.size, self.size)


@dataclass(frozen=True)
class Flatten:
    """Readout: a dense layer on all positions, the paper's fully connected last layer."""

    weight_std: float = 1.0
    bias_std: float = 0.0

    def __post_init__(self) -> None:
        _check_scales(self.weight_std, self.bias_std)


@dataclass(frozen=True)
class GlobalAvgPool:
    """Readout: a dense layer on the average over positions."""

    weight_std: float = 1.0
    bias_std: float = 0.0

    def __post_init__(self) -> None:
        _check_scales(self.weight_std, self.bias_std)


Readout = Flatten | GlobalAvgPool
HiddenLayer = Conv | AvgPool | Activation
Layer = HiddenLayer | Readout


def _check_scales(weight_std: float, bias_std: float) -> None:
    check_finite(weight_std=weight_std, bias_std=bias_std)
    if weight_std <= 0 or bias_std < 0:
        raise InputError(
            f"weight_std must be positive and bias_std not negative; got weight_std={weight_std!r}, "
            f"bias_std={bias_std!r}."
        )
