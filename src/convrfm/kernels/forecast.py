"""What a kernel's matrix and its AGOP will take in seconds and bytes, before they are computed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..quantities import duration, size
from .devices import free_memory
from .integers import positive_integer

MOST_IMAGES = 2048
SAMPLE_BYTES = 1 << 27  # of images that are timed
ALIVE = 4  # times as much is made of them


@dataclass(frozen=True)
class Forecast:
    """Seconds and bytes."""

    seconds: float
    bytes: int

    def __str__(self) -> str:
        return f"about {duration(self.seconds)} and {size(self.bytes)}"


def sample_size(image_bytes: int, n: int) -> int:
    """How many of n images may be timed."""
    return min(n, MOST_IMAGES, max(64, SAMPLE_BYTES // image_bytes))


def images_to_time(
    image_shape: Sequence[int], n: int, outputs: int, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "m c h w"]:
    """Random images in place of n real ones.

    Raises:
        InputError: for no shape of images, and where a few of them, with so many outputs, are more than memory holds.
    """
    if not isinstance(image_shape, Sequence) or len(image_shape) != 3:
        raise InputError(f"image_shape must be (channels, height, width); got {image_shape!r}.")
    shape = [positive_integer("each of image_shape (channels, height, width)", side) for side in image_shape]
    if dtype not in (torch.float32, torch.float64):
        raise InputError(f"dtype must be torch.float32 or torch.float64; got {dtype}.")
    image_bytes = dtype.itemsize * math.prod(shape)
    few = sample_size(image_bytes, n)
    needed, free = ALIVE * few * (image_bytes + dtype.itemsize * outputs), free_memory()
    if needed > free:
        raise InputError(
            f"a forecast times {few} images; of {' x '.join(map(str, shape))} numbers, with {outputs} outputs, they take "
            f"{size(needed)}, and {size(free)} are free. Ask for fewer, or smaller ones."
        )
    return torch.rand(few, *shape, generator=torch.Generator().manual_seed(0), dtype=dtype).to(device)
