"""Filters in the directions of patches: what photographs show more often than Gaussian vectors do."""

import math
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...maths.patches import unfold_patches
from ...maths.psd import psd_power
from ...maths.window_means import pad
from ...maths.windows import Window

SHARE = 0.1  # of the mean eigenvalue, added to each: directions in which patches hardly vary are mostly noise
AT_ONCE = 64  # images that are padded


def patch_directions(
    images: Float[Tensor, "m c h w"], window: Window, n: int, generator: np.random.Generator
) -> Float[Tensor, "n d"]:
    """Patches at random places of random images, less their mean, whitened, and of length sqrt(d).

    Like Gaussian vectors they take all directions alike on average, so that M^(1/2) times them has about the covariance M;
    unlike those they point where patches are. Coates and Ng (2011), "The importance of encoding versus training with sparse
    coding and vector quantization", compare the two.

    Args:
        images: to cut patches from.
        window: that cuts them, and brings them to one contrast.
        n: how many.
        generator: of the places.
    """
    rows, cols = map(window.output_length, images.shape[-2:])
    chosen = torch.from_numpy(generator.integers(len(images), size=n)).to(images.device)
    places = torch.from_numpy(generator.integers(rows * cols, size=n)).to(images.device)
    patches = torch.cat(
        [
            _patches_at(images[some], at // cols, at % cols, window).double()
            for some, at in zip(chosen.split(AT_ONCE), places.split(AT_ONCE), strict=True)
        ]
    )
    centered = patches - patches.mean(0)
    covariance = centered.T @ centered / n
    d = len(covariance)
    spread = covariance.trace() / d
    if not spread > 0:
        return centered
    white = centered @ psd_power(covariance + SHARE * spread * torch.eye(d).to(covariance), -0.5)
    return white * (math.sqrt(d) / white.norm(dim=1, keepdim=True).clamp_min(torch.finfo(white.dtype).tiny))


def _patches_at(
    images: Float[Tensor, "m c h w"], rows: Int[Tensor, " m"], cols: Int[Tensor, " m"], window: Window
) -> Float[Tensor, "m d"]:
    """The patch of every image at its own row and column."""
    windows = pad(images, window, (-2, -1)).unfold(2, window.size, window.stride).unfold(3, window.size, window.stride)
    cut = windows[torch.arange(len(images)), :, rows, cols]
    return unfold_patches(cut, replace(window, stride=1, padding="valid")).flatten(1)
