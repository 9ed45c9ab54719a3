"""Photographs: two that scikit-learn bundles, to be shown, and those of a folder, to be measured."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor

from ..networks import paper_scaling
from .published_networks import SIDE, photos

SHORT_SIDE = 256


def bundled_photographs() -> Float[Tensor, "2 3 224 224"]:
    """A temple and a flower, from 0 to 1: short side 256 pixels, the middle of it."""
    return torch.stack([_middle(Image.fromarray(pixels)) for pixels in load_sample_images().images])


def photographs(data: str | None, n: int) -> Float[Tensor, "n 3 224 224"]:
    """n photographs of the folder's imagenet_photos/ from 0 to 1; without a folder, the two that are bundled."""
    return bundled_photographs() if data is None else photos(Path(data), n) / 255


def scaled_as_the_paper(images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Color images from 0 to 1 less the paper's mean, over its deviation, of each channel (Appendix B)."""
    return paper_scaling(3).apply(images)


def scaled_for(images: Float[Tensor, "n 3 h w"], channels: int) -> Float[Tensor, "n channels h w"]:
    """Scaled as the paper does, in color or in gray."""
    scaled = scaled_as_the_paper(images)
    return scaled if channels == 3 else gray(scaled).unsqueeze(1)


def gray(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """The mean over channels."""
    return images.mean(1)


def _middle(picture: Image.Image) -> Float[Tensor, "3 224 224"]:
    times = SHORT_SIDE / min(picture.size)
    small = picture.resize((round(picture.width * times), round(picture.height * times)), Image.Resampling.LANCZOS)
    left, top = (small.width - SIDE) // 2, (small.height - SIDE) // 2
    pixels = np.array(small.crop((left, top, left + SIDE, top + SIDE)))
    return torch.from_numpy(pixels).movedim(-1, 0).float() / 255
