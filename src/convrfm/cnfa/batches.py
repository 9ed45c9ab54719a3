"""Batches of images from whatever holds them: a tensor, an array, a loader, any iterable."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from ..errors import InputError

Images = Tensor | np.ndarray | Iterable[Any]


def batches(images: Images, progress: bool) -> Iterator[Tensor]:
    """The batches of a loader (of `(images, labels)` pairs the images), or one batch if all images are given at once.

    Raises:
        InputError: If a batch is neither an array, nor a tuple or list that begins with one.
    """
    stream: Iterable[Any] = [images] if isinstance(images, Tensor | np.ndarray) else images
    if not isinstance(stream, Iterable):
        raise InputError(f"images must be a tensor, an array or an iterable of batches; got {type(images).__name__}.")
    for batch in track(stream, "measuring", transient=True) if progress else stream:
        yield _images_of(batch)


def _images_of(batch: Any) -> Tensor:
    first = batch[0] if isinstance(batch, tuple | list) and batch else batch
    if isinstance(first, np.ndarray):
        first = torch.from_numpy(np.ascontiguousarray(first))
    if not isinstance(first, Tensor) or first.ndim < 2:
        got = f"shape {tuple(first.shape)}" if isinstance(first, Tensor) else type(first).__name__
        raise InputError(
            f"a batch must be a tensor (n, ...) of images, or a tuple or list that begins with one; got {got}. "
            "For a single image pass image[None]."
        )
    return first
