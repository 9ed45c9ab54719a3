"""Pictures in the lines of steps, as text: a page is drawn again from its record alone."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional

LEVELS = 255
LONGEST_SIDE = 112  # pixels


def kept(picture: Float[Tensor, "*channels h w"], longest_side: int = LONGEST_SIDE) -> dict[str, Any]:
    """A map `(h, w)` or an image `(3, h, w)` as a PNG of 255 levels from its smallest value to its largest.

    What is longer than `longest_side` is averaged down to it.
    """
    planes = picture.detach().cpu().reshape(-1, *picture.shape[-2:])
    times = -(-max(planes.shape[-2:]) // longest_side)
    shown = functional.avg_pool2d(planes, times) if times > 1 else planes
    low, high = float(shown.min()), float(shown.max())
    levels = ((shown - low) * (LEVELS / ((high - low) or 1.0))).round().byte().numpy()
    buffer = io.BytesIO()
    Image.fromarray(levels[0] if picture.ndim == 2 else np.moveaxis(levels, 0, -1)).save(buffer, "PNG", optimize=True)
    return {"png": base64.b64encode(buffer.getvalue()).decode(), "range": [low, high]}


def seen_again(line: Mapping[str, Any]) -> Float[np.ndarray, "*channels h w"]:
    """What was kept, but for its 255 levels and its reduced size."""
    levels = np.asarray(Image.open(io.BytesIO(base64.b64decode(line["png"]))), dtype=np.float64)
    low, high = line["range"]
    picture = low + levels * ((high - low) / LEVELS)
    return picture if picture.ndim == 2 else np.moveaxis(picture, -1, 0)


def seen_all(lines: Sequence[Mapping[str, Any]]) -> Float[np.ndarray, "m *channels h w"]:
    """Several of one shape."""
    return np.stack([seen_again(line) for line in lines])
