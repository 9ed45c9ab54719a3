"""How an array with channels becomes a picture that a screen can show."""

import math

import numpy as np
from jaxtyping import Float


def image_picture(image: Float[np.ndarray, "c h w"]) -> Float[np.ndarray, "h w"] | Float[np.ndarray, "h w 3"]:
    """An image on its own scale from 0 to 1: its smallest value over all channels is 0, its largest 1.

    Three channels are red, green and blue; otherwise the mean over the channels is shown, as gray.
    A constant image is mid-gray.
    """
    picture = np.moveaxis(image, 0, -1) if len(image) == 3 else image.mean(axis=0)
    low, high = picture.min(), picture.max()
    return (picture - low) / (high - low) if high > low else np.full_like(picture, 0.5)


def patch_picture(patch: Float[np.ndarray, "c q q"]) -> Float[np.ndarray, "h w"] | Float[np.ndarray, "h w 3"]:
    """A patch with signs, divided by its largest absolute entry over all channels.

    Three channels become red, green and blue around mid-gray, from 0 to 1. Otherwise the channels lie beside
    each other as tiles, row by row in a grid as square as can be, with NaN between them, from -1 to 1.
    """
    scaled = patch / max(np.abs(patch).max(), np.finfo(patch.dtype).tiny)
    if len(patch) == 3:
        return np.moveaxis((1 + scaled) / 2, 0, -1)
    channels, size = patch.shape[:2]
    columns = math.ceil(math.sqrt(channels))
    rows = math.ceil(channels / columns)
    step = size + 1
    tiles = np.full((rows * step - 1, columns * step - 1), np.nan, dtype=patch.dtype)
    for channel, tile in enumerate(scaled):
        top, left = step * (channel // columns), step * (channel % columns)
        tiles[top : top + size, left : left + size] = tile
    return tiles
