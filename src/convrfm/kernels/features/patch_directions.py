"""Filters in the directions of patches: what photographs show more often than Gaussian vectors do."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...maths.patches import unfold_patches
from ...maths.psd import psd_power
from ...maths.windows import Window

SHARE = 0.1  # of the mean eigenvalue, added to each: directions in which patches hardly vary are mostly noise
AT_ONCE = 64  # images that are unfolded


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
            unfold_patches(images[some], window).flatten(2)[torch.arange(len(some)), :, at].double()
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
