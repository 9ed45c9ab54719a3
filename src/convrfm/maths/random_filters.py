"""Filters drawn from a metric on patches, and the layer of random features that they make (Algorithm 2)."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from .patches import filter_patches
from .psd import psd_power, scale_to_trace
from .windows import Window

Nonlinearity = Literal["relu"] | None
Centering = Literal["mean", "proportional"] | None
CENTERINGS: tuple[Centering, ...] = ("mean", "proportional", None)
GAIN = {"relu": 2.0, None: 1.0}
"""What keeps the mean square of the images from layer to layer."""
IMAGES_AT_ONCE, NUMBERS_AT_ONCE = 256, 1 << 24  # of features whose means are taken
ROUNDING = 100.0  # roundings' worth of angle that count as none


def random_filters(
    feature_matrix: Float[Tensor, "d d"] | None, normals: Float[Tensor, "k d"], activation: Nonlinearity
) -> Float[Tensor, "k d"]:
    """Filters distributed as N(0, gain M / tr M), in double precision: M^(1/2) times standard normal vectors.

    Args:
        feature_matrix: the metric M; None for the identity.
        normals: independent standard normal numbers.
        activation: what follows the filters; decides the gain.
    """
    if feature_matrix is None:
        return normals.double() * math.sqrt(GAIN[activation] / normals.shape[1])
    root = psd_power(scale_to_trace(feature_matrix.double(), GAIN[activation]), 0.5)
    return normals.double() @ root


@dataclass(frozen=True, eq=False)
class RandomFeatures:
    """A layer of random features, centered or not: from images to those of the next layer.

    With f = activation(W * x) at one position, the next layer sees f - mean ("mean"), or f - |f| mean ("proportional", which
    stays positively homogeneous: of an image twice as bright the features are twice as large), or f.

    Attributes:
        filters: W, `(k, d)`.
        window: the window that cuts images into patches.
        activation: what follows the filters.
        centering: what of the mean is subtracted at each position.
        mean: that of every channel, `(k,)`, for "proportional" over the mean of |f|; None where nothing is subtracted.
    """

    filters: Float[Tensor, "k d"]
    window: Window
    activation: Nonlinearity
    centering: Centering = None
    mean: Float[Tensor, " k"] | None = None

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k rows cols"]:
        """The images as the next layer sees them."""
        features = filter_patches(images, self.filters, self.window)
        if self.activation == "relu":
            features.relu_()
        return features if self.mean is None else less_mean(features, self.centering, self.mean, out=features)

    def centered(
        self, centering: Centering, images: Float[Tensor, "n c h w"], weights: Float[Tensor, " n"] | None = None
    ) -> "RandomFeatures | None":
        """The layer whose (weighted) mean over these images, and over all positions, is zero in every channel.

        The layer without centering, for None; None where all features have one direction, but for rounding, so that in
        proportion to their length centering leaves nothing of them.
        """
        plain = replace(self, centering=None, mean=None)
        if centering is None:
            return plain
        at_once = min(IMAGES_AT_ONCE, max(1, NUMBERS_AT_ONCE // plain(images[:1]).numel()))
        means, lengths = zip(*(_means(plain(part)) for part in images.split(at_once)), strict=True)
        counts = torch.ones_like(torch.cat(lengths)) if weights is None else weights.double()
        counts = counts / counts.sum()
        mean = counts @ torch.cat(means)
        if centering == "proportional":
            mean = mean / (counts @ torch.cat(lengths))
            spread = 2 * (1 - float(mean.norm()))  # the mean square angle between features and their mean
            if not spread > max(
                (ROUNDING * torch.finfo(images.dtype).eps) ** 2, ROUNDING * torch.finfo(mean.dtype).eps
            ):
                return None
        return replace(plain, centering=centering, mean=mean.to(images))


def less_mean(
    features: Float[Tensor, "n k rows cols"],
    centering: Centering,
    mean: Float[Tensor, " k"],
    *,
    out: Tensor | None = None,
) -> Float[Tensor, "n k rows cols"]:
    """The features less the mean, for "proportional" times their length at each position."""
    share = features.norm(dim=1, keepdim=True) if centering == "proportional" else features.new_ones(1, 1, 1, 1)
    return torch.addcmul(features, share, mean[:, None, None], value=-1, out=out)


def _means(features: Float[Tensor, "n k rows cols"]) -> tuple[Float[Tensor, "n k"], Float[Tensor, " n"]]:
    """Of every image over its positions, in double precision: the features, and their length."""
    lengths = torch.linalg.vector_norm(features, dim=1, dtype=torch.float64)
    return features.mean((2, 3), dtype=torch.float64), lengths.mean((1, 2))
