"""How raw pictures become the `x` of a model: stored with the model, applied again when it predicts."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float32
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from ..errors import InputError
from ..quantities import counted
from .image_arrays import channels_seem_last, check_unmasked
from .memory import check_memory
from .pictures import PictureBatch, resize, with_channels

Side = Annotated[int, Field(gt=0, le=65535)]
SLACK = 0.5  # of what noise and augmentation may add to pictures from 0 to 1
DARK = 1 / 8  # of white: images that all stay below it may have another white


def are_of_pictures(least: float, most: float) -> bool:
    """Whether values in this range may be those of pictures from 0 to 1."""
    return least >= -SLACK and most <= 1 + SLACK


@dataclass(frozen=True)
class Preprocessing:
    """The way from raw pictures to `x`: size, channels, scale, then center.

    Attributes:
        image_size: `(height, width)` that pictures are brought to, by center crop; None: as they come.
        channels: Number of channels; gray pictures are repeated for 3, color becomes its brightness for 1.
        divide_by: Raw value that becomes 1: 255 for pictures and uint8 arrays.
        center: Value of each channel, after division, that is subtracted, or None.

    >>> Preprocessing((2, 2), 1, 255.0).apply([np.full((1, 4, 4), 255, np.uint8)]).tolist()
    [[[[1.0, 1.0], [1.0, 1.0]]]]
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    image_size: tuple[Side, Side] | None
    channels: Side
    divide_by: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    center: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] | None = None

    def __post_init__(self) -> None:
        if self.center is not None and len(self.center) != self.channels:
            raise InputError(
                f"center must hold one value for each of {self.channels} channels; got {len(self.center)}. "
                "Give as many."
            )

    def __str__(self) -> str:
        size = "pictures as they come" if self.image_size is None else "pictures of {} x {}".format(*self.image_size)
        centered = "" if self.center is None else ", less each channel's mean"
        return f"{size}, {counted(self.channels, 'channel')}, values over {self.divide_by:g}{centered}"

    def apply(self, raw: PictureBatch) -> Float32[np.ndarray, "n_pictures channels rows cols"]:
        """Turn raw pictures, each `(c, h, w)`, or a batch `(n, c, h, w)` of them, into `x`.

        Raises:
            InputError: If there are none, their channels cannot be converted, `image_size` is None and their sizes differ,
                they are scaled already, or something is masked.
        """
        check_unmasked(raw, "raw")
        if misplaced := next((picture.shape for picture in raw if picture.ndim != 3), None):
            raise InputError(
                f"each picture must be (channels, height, width); got {misplaced}. Gray ones are x[:, None]."
            )
        others = (picture.shape for picture in raw if len(picture) != self.channels)
        if last := next((shape for shape in others if channels_seem_last((1, *shape))), None):
            raise InputError(
                f"each picture must be (channels, height, width); got {last}. If its colors are last, pass "
                "np.moveaxis(x, -1, 1) for all of them."
            )
        self._refuse_scaled(raw)
        return self.made_of(raw)

    def made_of(self, raw: PictureBatch) -> Float32[np.ndarray, "n_pictures channels rows cols"]:
        """What `apply` makes of pictures whose scale is known, however dark they are.

        Raises:
            InputError: If there are none, their channels cannot be converted, or `image_size` is None and their sizes differ.
        """
        size = self.image_size or one_size(raw)
        check_memory(f"{len(raw)} images of {size}", len(raw), (self.channels, *size), 0)
        x = np.empty((len(raw), self.channels, *size), np.float32)
        with np.errstate(over="ignore"):
            for place, picture in zip(x, raw, strict=True):
                place[:] = resize(with_channels(picture, self.channels), size)
        if not np.isfinite(x).all() and np.isfinite(largest := max(float(np.abs(p).max()) for p in raw)):
            raise InputError(
                f"pictures become float32, up to 3.4e+38; they hold values of {largest:.2g}. Rescale them."
            )
        x /= self.divide_by
        if self.center is not None:
            x -= np.array(self.center, np.float32)[:, None, None]
        return x

    def dark_note(self, x: Float32[np.ndarray, "n c h w"]) -> list[str]:
        """A sentence on images, not centered yet, none of which is bright, as bytes of 0 and 1 or 12 bits in 16."""
        if not self.tells_scale or (most := float(x.max())) > DARK:
            return []
        return [
            f"The images are dark: their largest value is {most * self.divide_by:g}, where {self.divide_by:g} is white. If "
            "their own white is less, divide them by that, and store floats in an .npz file."
        ]

    @property
    def tells_scale(self) -> bool:
        """Whether it is known where black and white lie in `x`: not of values that stayed as they came."""
        return self.divide_by != 1

    def check(self, x: Any) -> None:
        """Raise `InputError` if `x`, a NumPy array or tensor, is masked, or raw pictures on which this was not applied yet.

        What `apply` makes of pictures and uint8 lies between black, 0, and white, 1, less the center. Values far outside are
        not refused where `divide_by` is 1: then nothing is known about them. That images seem not to be centered is a warning:
        very bright ones may have no value below 0.
        """
        check_unmasked(x, "x")
        if not self.tells_scale:
            return
        center = self.center or (0.0,)
        lowest, highest = -max(center) - SLACK, 1 - min(center) + SLACK
        least, most = float(x.min()), float(x.max())
        if least < lowest or most > highest:
            remedy = (
                f"They were divided by {self.divide_by:g}{' and centered' if self.center else ''}: pass "
                "model.preprocessing_.apply(x), x as (n, c, h, w)."
            )
            if max(-least, most) <= 1 + SLACK:
                remedy = f"Scaled in another way: make them 0 to {self.divide_by:g} for model.preprocessing_.apply(x)."
            raise InputError(
                f"x must be as the images that the model was fitted to, {0 - max(center):g} to {1 - min(center):g}; got values "
                f"from {least:g} to {most:g}. {remedy}"
            )
        if max(center) > 0 and least >= 0:
            warnings.warn(
                "none of these values lies below 0, and the model was fitted to centered images: where these are not, pass "
                f"{self.divide_by:g} times x to model.preprocessing_.apply.",
                stacklevel=5,
            )

    def _refuse_scaled(self, raw: PictureBatch) -> None:
        """Refuse fractions of white, which would be divided once more."""
        if not self.tells_scale or not all(np.issubdtype(picture.dtype, np.floating) for picture in raw):
            return
        least, most = min(float(picture.min()) for picture in raw), max(float(picture.max()) for picture in raw)
        if least < most <= 1 + SLACK:
            raise InputError(
                f"raw pictures must hold values from 0 to {self.divide_by:g}; got fractions, from {least:g} to {most:g}. If "
                f"they are scaled to 0..1 already, multiply them by {self.divide_by:g} first."
            )

    def to_dict(self) -> dict[str, Any]:
        """The same as numbers, lists and None, for JSON."""
        values = asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """The inverse of `to_dict`.

        Raises:
            InputError: If a value is missing, unknown, or of the wrong kind; all of them are named.
        """
        try:
            return TypeAdapter(cls).validate_python(dict(values))
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise InputError(
                'preprocessing must hold "image_size", "channels", "divide_by" and "center", as to_dict writes them; '
                f"got {dict(values)} ({faults}). Save the model again, or correct the file."
            ) from error


def one_size(raw: PictureBatch) -> tuple[int, int]:
    """The size `(height, width)` of all pictures.

    Raises:
        InputError: If there are no pictures, or their sizes differ; the message proposes the median size.
    """
    sizes = Counter(picture.shape[1:] for picture in raw)
    if len(sizes) == 1:
        return next(iter(sizes))
    if not sizes:
        raise InputError("There must be at least one picture; got none. Look at the path.")
    height, width = np.median(list(sizes.elements()), axis=0).astype(int).tolist()
    most, count = sizes.most_common(1)[0]
    raise InputError(
        f"All pictures must have one size; got {len(sizes)} sizes from {min(sizes)} to {max(sizes)}, "
        f"most often {most} ({count} of {sizes.total()}). "
        f"Pass image_size=({height}, {width}), their median, or another."
    )
