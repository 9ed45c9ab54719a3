"""What a kernel's matrix and its AGOP will take in seconds and bytes, before they are computed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..quantities import duration, size

MOST_IMAGES = 2048
SAMPLE_BYTES = 1 << 27  # of images that are timed


@dataclass(frozen=True)
class Forecast:
    """Seconds and bytes."""

    seconds: float
    bytes: int

    def __str__(self) -> str:
        return f"about {duration(self.seconds)} and {size(self.bytes)}"


def sample_size(image: Float[Tensor, "c h w"], n: int) -> int:
    """How many of n images may be timed."""
    return min(n, MOST_IMAGES, max(64, SAMPLE_BYTES // (image.numel() * image.element_size())))


def images_to_time(image_shape: Sequence[int], n: int, device: torch.device) -> Float[Tensor, "m c h w"]:
    """Random images in place of n real ones, in single precision; raises `InputError` for no shape of images."""
    if len(image_shape) != 3 or not all(isinstance(side, int) and side > 0 for side in image_shape):
        raise InputError(f"image_shape must be (channels, height, width); got {tuple(image_shape)}.")
    few = sample_size(torch.empty(tuple(image_shape)), n)
    return torch.rand(few, *image_shape, generator=torch.Generator().manual_seed(0)).to(device)
