"""Filters drawn from a metric on patches, and the layer of random features that they make (Algorithm 2)."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from .patches import filter_patches
from .psd import psd_power, scale_to_trace
from .windows import Window

Activation = Literal["relu"] | None
GAIN = {"relu": 2.0, None: 1.0}
"""What keeps the mean square of the images from layer to layer."""
IMAGES_AT_ONCE = 256


def random_filters(
    feature_matrix: Float[Tensor, "d d"], normals: Float[Tensor, "k d"], activation: Activation
) -> Float[Tensor, "k d"]:
    """Filters distributed as N(0, gain M / tr M): M^(1/2) times standard normal vectors.

    Args:
        feature_matrix: the metric M.
        normals: independent standard normal numbers.
        activation: what follows the filters; decides the gain.
    """
    root = psd_power(scale_to_trace(feature_matrix.double(), GAIN[activation]), 0.5)
    return (normals.double() @ root).to(feature_matrix)


@dataclass(frozen=True, eq=False)
class RandomFeatures:
    """A layer of random features: activation(W * x) - mean, from images to those of the next layer.

    Attributes:
        filters: W, `(k, d)`.
        window: the window that cuts images into patches.
        activation: what follows the filters.
        mean: what is subtracted from each channel, `(k,)`; None for nothing.
    """

    filters: Float[Tensor, "k d"]
    window: Window
    activation: Activation
    mean: Float[Tensor, " k"] | None = None

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k rows cols"]:
        """The images as the next layer sees them."""
        features = filter_patches(images, self.filters, self.window)
        if self.activation == "relu":
            features.relu_()
        return features if self.mean is None else features.sub_(self.mean[:, None, None])

    def centred(self, images: Float[Tensor, "n c h w"], weights: Float[Tensor, " n"] | None = None) -> "RandomFeatures":
        """The layer whose (weighted) mean over these images, and over all positions, is zero in every channel."""
        plain = replace(self, mean=None)
        means = torch.cat([plain(part).mean((2, 3)) for part in images.split(IMAGES_AT_ONCE)])
        return replace(self, mean=means.mean(0) if weights is None else weights.to(means) @ means / weights.sum())
