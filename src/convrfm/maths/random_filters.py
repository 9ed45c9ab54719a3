"""Filters drawn from a metric on patches, and the layer of random features that they make (Algorithm 2)."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from .patches import filter_patches
from .psd import psd_power, scale_to_trace
from .windows import Window

Activation = Literal["relu"] | None
GAIN = {"relu": 2.0, None: 1.0}
"""What keeps the mean square of the images from layer to layer."""


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


def random_features(
    images: Float[Tensor, "n c h w"], filters: Float[Tensor, "k d"], window: Window, activation: Activation
) -> Float[Tensor, "n k rows cols"]:
    """activation(W * x): the images as the next layer sees them."""
    features = filter_patches(images, filters, window)
    return features.relu_() if activation == "relu" else features
