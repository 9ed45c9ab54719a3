r"""The layers of a network of finite width at random weights, and of its derivative in a random direction of its weights.

The NNGP is the mean over weights of the product of two images' activations. The NTK adds up the derivatives with respect to
all weights, which is the mean, over random directions of the weights, of the product of two images' derivatives along one.
So a *signal* is the activations, and for the NTK their derivative along with them. With a(u) and t(u) at position u,

    convolution   s = W * a + b,     \dot s = V * a + c + W * t        (W, b: the weights; V, c: their direction, alike)
    activation    a = phi(s),        t = phi'(s) \dot s

and from adjoints of what a layer puts out follow those of what it takes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d
from torch.nn.grad import conv2d_input

from ...errors import InputError
from ...maths.patches import filter_patches, filter_unfolded
from ...maths.precision import convolutions_as_products
from ...maths.window_means import POSITIONS, pad, unpad, window_mean_transpose
from ...maths.windows import Window
from ..activations.activation import Activation
from ..architecture import Architecture
from ..integers import natural_number, positive_integer
from ..layers import AvgPool, Conv, GlobalAvgPool, HiddenLayer
from .patch_directions import patch_directions

FirstFilters = Literal["gaussian", "patches"]
Channels = Float[Tensor, "n r rows cols"]
Before = Float[Tensor, "n c h w"]
Adjoint = Float[Tensor, "n k r rows cols"]


@dataclass(frozen=True, eq=False)
class Signal:
    """Activations, and their derivative in a random direction of the weights; None where the tangent kernel is not meant."""

    value: Float[Tensor, "..."]
    tangent: Float[Tensor, "..."] | None = None

    def mapped(self, layer: Callable[[Float[Tensor, "..."]], Float[Tensor, "..."]]) -> "Signal":
        """What a linear layer makes of both."""
        return Signal(layer(self.value), None if self.tangent is None else layer(self.tangent))

    def together(self, axis: int) -> Float[Tensor, "..."]:
        """Both, one after the other along the channels' axis."""
        return self.value if self.tangent is None else torch.cat([self.value, self.tangent], axis)


@runtime_checkable
class RandomLayer(Protocol):
    """One layer of the network."""

    def forward(self, x: Signal) -> Signal:
        """What the layer makes of a signal `(n, r, rows, cols)`."""

    def backward(self, x: Signal, bar: Signal) -> Signal:
        """The adjoints of x, `(n, k, r, rows, cols)` for k outputs, from those of what the layer made of it."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Filters and a bias, None for none; or a direction of them."""

    filters: Float[Tensor, "r d"]
    bias: Float[Tensor, " r"] | None

    def of(self, some: slice) -> "Weights":
        """Some of the filters."""
        return Weights(self.filters[some], None if self.bias is None else self.bias[some])

    def meet(self, images: Before, window: Window) -> Channels:
        """The filters at every position, plus the bias."""
        whole = window == Window(1)  # what comes is patches
        met = filter_unfolded(images, self.filters) if whole else filter_patches(images, self.filters, window)
        return met if self.bias is None else met.add_(self.bias[:, None, None])

    def transposed(self, bar: Adjoint, window: Window, like: Before) -> Float[Tensor, "n k c h w"]:
        """The adjoint of the images that met the filters."""
        shape = pad(like[:1], window, (-2, -1)).shape[1:]
        kernels = self.filters.reshape(len(self.filters), len(like[0]), window.size, window.size)
        images = bar.flatten(0, 1)
        with convolutions_as_products(images.device):
            padded = conv2d_input((len(images), *shape), kernels, images, stride=window.stride)
        for axis, length in zip((-2, -1), like.shape[-2:], strict=True):
            padded = unpad(padded, window, (axis,), length)
        return padded.unflatten(0, bar.shape[:2])


@dataclass(frozen=True, eq=False)
class RandomConv:
    """A convolution: random weights, and for the tangent kernel a random direction of them."""

    weights: Weights
    direction: Weights | None
    window: Window

    @property
    def filters(self) -> Float[Tensor, "r d"]:
        """Those of the weights, then those of their direction."""
        return torch.cat([part.filters for part in (self.weights, self.direction) if part is not None])

    def on_patches(self, some: slice) -> "RandomConv":
        """Some of the filters, without a direction, for images whose patches are unfolded already."""
        return RandomConv(self.weights.of(some), None, Window(1))

    def forward(self, x: Signal) -> Signal:
        """s, and its derivative; what comes first has none yet."""
        value = self.weights.meet(x.value, self.window)
        if self.direction is None:
            return Signal(value)
        tangent = self.direction.meet(x.value, self.window)
        if x.tangent is not None:
            tangent += filter_patches(x.tangent, self.weights.filters, self.window)
        return Signal(value, tangent)

    def backward(self, x: Signal, bar: Signal) -> Signal:
        """The transposes."""
        value = self.weights.transposed(bar.value, self.window, x.value)
        if self.direction is None or bar.tangent is None:
            return Signal(value)
        value += self.direction.transposed(bar.tangent, self.window, x.value)
        return Signal(value, self.weights.transposed(bar.tangent, self.window, x.value))


@dataclass(frozen=True)
class Activated:
    """An activation."""

    activation: Activation

    def forward(self, x: Signal) -> Signal:
        """phi(s), and phi'(s) times the derivative of s."""
        value = self.activation.phi(x.value)
        return Signal(value) if x.tangent is None else Signal(value, self.activation.derivative(x.value) * x.tangent)

    def backward(self, x: Signal, bar: Signal) -> Signal:
        """Adjoints of s and of its derivative."""
        slope = self.activation.derivative(x.value).contiguous()[:, None]  # in the order of its many partners
        value = bar.value * slope
        if x.tangent is None or bar.tangent is None:
            return Signal(value)
        curvature = self.activation.second_derivative(x.value, resolution(x.value))
        return Signal(value + bar.tangent * (x.tangent * curvature)[:, None], bar.tangent * slope)


@dataclass(frozen=True)
class Pooled:
    """Average pooling."""

    window: Window

    def forward(self, x: Signal) -> Signal:
        """The means."""
        return x.mapped(lambda field: avg_pool2d(field, self.window.size))

    def backward(self, x: Signal, bar: Signal) -> Signal:
        """The means, spread."""
        lengths = x.value.shape[-2:]
        return bar.mapped(lambda field: window_mean_transpose(field, self.window, POSITIONS, lengths))


def resolution(s: Channels) -> Float[Tensor, "n 1 rows cols"]:
    """How far from a jump of phi' channels tell of it: their spread at each position, times their number to the power -1/5.

    The density of n numbers at a place is best estimated by those within such a distance.
    """
    return s.square().mean(1, keepdim=True).sqrt() * s.shape[1] ** -0.2


@dataclass(frozen=True)
class FeatureDraw:
    """Which network is drawn.

    Attributes:
        n_features: filters of every convolution.
        seed: of all random weights.
        first_filters: those of the first convolution: "gaussian", or "patches" of the images (`patch_directions`), with which
            inner products of features are no longer the kernel's values.
    """

    n_features: int
    seed: int
    first_filters: FirstFilters = "gaussian"

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_features", positive_integer("n_features", self.n_features))
        if self.first_filters == "patches" and self.n_features == 1:
            raise InputError(
                'first_filters="patches" takes filters less their mean, which leaves nothing of one alone: n_features must be '
                "at least 2 with it; got 1."
            )
        object.__setattr__(self, "seed", natural_number("seed", self.seed))

    def columns(self, architecture: Architecture, height: int, width: int, *, tangent: bool) -> int:
        """How many numbers an image of this size has: what the readout's dense layer takes, and its bias."""
        positions = (
            1 if isinstance(architecture.readout, GlobalAvgPool) else math.prod(architecture.grids(height, width)[-1])
        )
        return self.n_features * (1 + tangent) * positions + (architecture.readout.bias_std > 0)

    def network(
        self,
        architecture: Architecture,
        like: Float[Tensor, "n c h w"],
        root: Float[Tensor, "d d"] | None,
        *,
        tangent: bool,
    ) -> tuple[RandomConv, list[RandomLayer]]:
        """The first convolution, and the layers between it and the readout.

        Args:
            architecture: its layers.
            like: images of the channels, precision and device that it takes, and whose patches may be filters.
            root: the symmetric root of the metric on patches of the images; None for the identity.
            tangent: whether a direction of the weights is drawn too.
        """
        generator = np.random.default_rng(self.seed)

        def weights(conv: Conv, directions: Float[Tensor, "r d"]) -> Weights:
            bias = torch.from_numpy(generator.standard_normal(self.n_features)).to(like)
            filters = directions * (conv.weight_std / math.sqrt(directions.shape[1]))
            return Weights(filters.to(like), bias * conv.bias_std if conv.bias_std else None)

        def gaussian(conv: Conv, channels: int) -> Float[Tensor, "r d"]:
            normals = generator.standard_normal((self.n_features, channels * conv.size**2))
            return torch.from_numpy(normals).to(like.device)

        def hidden(layer: HiddenLayer) -> RandomLayer:
            if isinstance(layer, Conv):
                drawn = [weights(layer, gaussian(layer, self.n_features)) for _ in range(1 + tangent)]
                return RandomConv(drawn[0], drawn[1] if tangent else None, layer.window)
            return Pooled(layer.window) if isinstance(layer, AvgPool) else Activated(layer)

        first = architecture.first

        def under_metric(directions: Float[Tensor, "r d"]) -> Weights:
            return weights(first, directions if root is None else directions @ root.double())

        if self.first_filters == "patches":
            value = under_metric(patch_directions(like, first.window, self.n_features, generator))
        else:
            value = under_metric(gaussian(first, like.shape[1]))
        direction = under_metric(gaussian(first, like.shape[1])) if tangent else None
        return RandomConv(value, direction, first.window), [hidden(layer) for layer in architecture.hidden]
