"""One picture becomes one array: channels first, from 0 (black) to 255 (white)."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from PIL import Image, ImageOps

from ..errors import InputError

GRAY_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as in Pillow's conversion to "L"

Picture = Shaped[np.ndarray, "c h w"]
PictureBatch = Sequence[Shaped[np.ndarray, "_ _ _"]] | Shaped[np.ndarray, "n c h w"]


def read_picture(path: Path) -> Picture:
    """Read a picture file, upright (EXIF rotation applied).

    Returns:
        `(1, h, w)` where it holds only gray, otherwise `(3, h, w)`. See `picture_array`.

    Raises:
        InputError: If the file is missing, damaged, truncated, no picture, or suspiciously large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return picture_array(ImageOps.exif_transpose(image))
    except Exception as error:  # from a damaged file Pillow's decoders raise almost anything
        raise InputError(
            f"{path} cannot be read as a picture: {str(error).rstrip('.')}. "
            'Repair or remove it; in a folder, unreadable="skip" leaves it out and says so.'
        ) from error


def picture_array(image: Image.Image) -> Picture:
    """Values of a picture from 0 to 255: uint8, or float32 where the file has 16 bits.

    Transparent parts are laid over white. Three equal channels become one.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image, dtype=np.float32)
        if image.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise ValueError("its 32-bit values have no agreed white")
        return values[None] / 257
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    channels = np.moveaxis(np.asarray(image.convert("RGB")), -1, 0)
    gray = bool((channels == channels[:1]).all())
    return np.ascontiguousarray(channels[:1] if gray else channels)


def resize(picture: Picture, size: tuple[int, int]) -> Shaped[np.ndarray, "c rows cols"]:
    """Bring a picture to `(height, width)`: the largest centered part of that aspect, resampled by Lanczos.

    Shapes are not distorted; what is cut off lies at the two ends of the longer side.
    """
    if picture.shape[1:] == size:
        return picture
    channels = [
        ImageOps.fit(Image.fromarray(channel.astype(np.float32)), size[::-1], Image.Resampling.LANCZOS)
        for channel in picture
    ]
    # Lanczos overshoots at edges; no pixel should be whiter than white.
    return np.stack([np.asarray(channel) for channel in channels]).clip(picture.min(), picture.max())


def with_channels(picture: Picture, channels: int) -> Shaped[np.ndarray, "{channels} h w"]:
    """Bring a picture to `channels` channels: gray is repeated for color, color becomes its brightness.

    Raises:
        InputError: If the change is not between 1 and 3.
    """
    match len(picture), channels:
        case present, wanted if present == wanted:
            return picture
        case 1, 3:
            return np.repeat(picture, 3, axis=0)
        case 3, 1:
            return np.tensordot(GRAY_WEIGHTS, picture.astype(np.float32), 1)[None]
        case present, _:
            raise InputError(
                f"Images must have {channels} channels; got {present}, and only 1 and 3 convert into "
                "each other. Give images with the same channels as the others."
            )
