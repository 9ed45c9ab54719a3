"""One picture becomes one array: channels first, from 0 (black) to 255 (white)."""

import functools
import importlib
import importlib.util
import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, SAMPLESPERPIXEL, TiffImageFile

from ..errors import InputError

HEIF_SUFFIXES = {".heic", ".heif"}
SUFFIXES = HEIF_SUFFIXES | {
    *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
}
FORMATS = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
REMEDIES: Mapping[str, str] = {
    "exceeds limit": "Make it smaller: PIL.Image.MAX_IMAGE_PIXELS = None lets Pillow open and resize it.",
    "text chunk": "Save it without its texts, for instance as JPEG.",
    "MAX_TEXT": "Save it without its texts, for instance as JPEG.",
    "its values must be": "Save it with 8 or 16 bits, or give the images as floats in an .npz file.",
    "of which only": "Save it with those that are meant alone, or give the images as arrays in an .npz file.",
}
GRAY_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as in Pillow's conversion to "L"

Picture = Shaped[np.ndarray, "c h w"]
PictureBatch = Sequence[Shaped[np.ndarray, "_ _ _"]] | Shaped[np.ndarray, "n c h w"]


def read_picture(path: Path) -> Picture:
    """Read the first frame or page of a picture file; see `read_first_frame`."""
    return read_first_frame(path)[0]


def read_first_frame(path: Path) -> tuple[Picture, int]:
    """Read the first frame or page of a picture file, upright (EXIF rotation applied).

    Returns:
        `(1, h, w)` where it holds only gray, otherwise `(3, h, w)`, see `picture_array`; and the number of its frames or
        pages.

    Raises:
        InputError: If the file is missing, damaged, truncated, no picture, or suspiciously large.
    """
    try:
        return decode(path)
    except Exception as error:  # from a damaged file Pillow's decoders raise almost anything
        said = f"{error}".rstrip(".") or type(error).__name__
        raise InputError(f"{path} cannot be read as a picture: {said}. {_remedy(path, said)}") from error


def decode(file: Path | io.BytesIO) -> tuple[Picture, int]:
    """What `read_first_frame` returns, of a file or of its bytes; what Pillow raises of damaged ones passes."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(file, formats=_readable_formats()) as image:
            image.filename = ""  # of files Pillow maps plain TIFFs into memory, and garbles those that are to be turned
            # The further images of an MPO are previews of the first.
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            _check_channels(image)
            white, inverted = _white(image), _is_inverted(image)
            picture = picture_array(ImageOps.exif_transpose(image), white)
            return (255 - picture if inverted else picture), frames


def _white(image: Image.Image) -> float | None:
    """Value of white where neither the mode of a picture of integers nor what is usual in it tells."""
    if isinstance(image, TiffImageFile) and image.tag_v2.get(BITSPERSAMPLE) == (12,):
        return 4095.0  # Pillow scales no TIFF
    return 65535.0 if image.format in ("PNG", "PPM") else None


def _check_channels(image: Image.Image) -> None:
    """Raise `ValueError` for a TIFF with channels that Pillow leaves out, such as infrared beside the colors."""
    there, read = getattr(image, "tag_v2", {}).get(SAMPLESPERPIXEL, 1), len(image.getbands())
    if there > read:
        raise ValueError(f"it has {there} channels, of which only {read} would be read")


def _is_inverted(image: Image.Image) -> bool:
    """Whether 0 is white in a TIFF of more than 8 bits; where there are fewer, Pillow turns them."""
    deep = image.mode == "F" or image.mode.startswith("I")
    return deep and getattr(image, "tag_v2", {}).get(PHOTOMETRIC_INTERPRETATION) == 0


def picture_array(image: Image.Image, white: float | None = None) -> Picture:
    """Values of a picture from 0 to 255: uint8, or float32 where it holds integers of more than 8 bits or floats.

    Transparent parts are laid over white. Three equal channels become one.

    Args:
        image: The picture.
        white: Value of white in one of more than 8-bit integers; by default 65535 in one of 16 bits, 255 in one of 32. It is 1
            in one of floats.

    Raises:
        ValueError: If a value is not between 0 and white.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        usual = 65535.0 if image.mode.startswith("I;16") else 255.0
        largest = 1.0 if image.mode == "F" else white or usual
        values = np.asarray(image, dtype=np.float32)
        if not (values.min() >= 0 and values.max() <= largest):
            raise ValueError(
                f"its values must be from 0 to {largest:g}; they are from {values.min():g} to {values.max():g}"
            )
        if "transparency" in image.info:
            values = np.where(values == image.info["transparency"], np.float32(largest), values)
        return values[None] * np.float32(255 / largest)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    channels = np.moveaxis(np.asarray(image.convert("RGB")), -1, 0)
    gray = bool((channels == channels[:1]).all())
    return np.ascontiguousarray(channels[:1] if gray else channels)


@functools.cache
def _readable_formats() -> list[str]:
    """Those of `FORMATS` that Pillow and its plugin for HEIF, where that is installed, can read here."""
    Image.init()
    if importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()
    return [name for name in FORMATS if name in Image.OPEN]


def _remedy(path: Path, said: str) -> str:
    if path.suffix.lower() in HEIF_SUFFIXES and "HEIF" not in _readable_formats():
        return "Run: pip install pillow-heif, or save it as JPEG."
    for word, remedy in REMEDIES.items():
        if word in said:
            return remedy
    return 'Repair or remove it; in a folder, unreadable="skip" leaves it out and says so.'


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


def is_smaller(shape: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Whether `resize` to `(height, width)` enlarges a picture of this shape `(c, h, w)`."""
    return any(side < wanted for side, wanted in zip(shape[1:], size, strict=True))


def share_cut_off(shape: tuple[int, ...], size: tuple[int, int]) -> float:
    """How much of the area of a picture of this shape `(c, h, w)` `resize` to `(height, width)` cuts off."""
    _, height, width = shape
    scale = max(size[0] / height, size[1] / width)
    return 1 - size[0] * size[1] / (scale**2 * height * width)


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
