"""What counts as a batch of images and as its labels, checked once at the door."""

import warnings
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Shaped
from scipy.sparse import issparse
from sklearn.exceptions import DataConversionWarning

from ..errors import InputError, InputTypeError
from ..maths.dense import check_dense

Array = TypeVar("Array", np.ndarray, torch.Tensor)
CHANNEL_COUNTS = (1, 2, 3, 4)
EXACT = np.float64(2**53)  # from which on floats are not all integers
EXACT_SINGLE = 2**24  # those of float32
LAYOUT = "x must be (n, channels, height, width)"


def check_images(x: Any, *, image_shape: tuple[int, int, int] | None = None) -> Any:
    """Return a batch of images as `(n, c, h, w)` floats of the library it came in.

    Args:
        x: NumPy array, torch tensor or nested lists: `(n, c, h, w)`, `(n, h, w)` for one channel, or
            `(n, c*h*w)` together with `image_shape`. float32 and float64 stay; other numbers become float32, which
            integers beyond 2**24 may not.
        image_shape: `(c, h, w)` of every image; of flattened ones, one of the three may be -1.

    Returns:
        `(n, c, h, w)`, a view of `x` where no conversion was needed.

    Raises:
        InputError: If the layout, the type or a value is not that of a batch of images.
        InputTypeError: If an entry is an object that is no number.

    >>> check_images(np.zeros((5, 8, 8), np.uint8)).shape
    (5, 1, 8, 8)
    >>> check_images(np.zeros((100, 32, 32, 3)))
    Traceback (most recent call last):
    ...
    convrfm.errors.InputError: x must be (n, channels, height, width); got (100, 32, 32, 3). \
If the channels are last, pass np.moveaxis(x, -1, 1).
    """
    if isinstance(x, torch.Tensor):
        return _check_finite(as_batch(_float_tensor(x), image_shape))
    return _check_finite(as_batch(_float_array(x), image_shape))


def check_labels(y: Any, n: int) -> Shaped[np.ndarray, " n"]:
    """Return the classes of `n` images as a NumPy array `(n,)` of numbers or strings.

    Args:
        y: One label per image: numbers, booleans or strings, as an array, a tensor or a list. A column `(n, 1)` is taken
            with a warning, as scikit-learn does.
        n: Number of images.

    Raises:
        InputError: If the shape, the length or a value is not that of class labels.

    >>> check_labels(["cat", "dog", "cat"], 3)
    array(['cat', 'dog', 'cat'], dtype='<U3')
    """
    check_known(y, "y")
    labels = _array(y.detach().cpu() if isinstance(y, torch.Tensor) else y, "y")
    check_known(labels, "y")
    if labels.dtype == object and all(isinstance(label, str) for label in labels.flat):
        labels = labels.astype(str)
    mixed = isinstance(y, list | tuple) and labels.dtype.kind == "U" and not all(isinstance(label, str) for label in y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected. Pass np.ravel(y).",
            DataConversionWarning,
            stacklevel=2,
        )
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InputError(
            f"y must be (n,), one label per image; got {labels.shape}. Pass y.argmax(axis=1) if y is one-hot."
        )
    if len(labels) != n:
        raise InputError(f"y must have one label per image; got {len(labels)} labels for {n} images.")
    if labels.dtype.kind not in "biufU" or mixed:
        came = "some of each" if mixed else labels.dtype
        raise InputError(
            f"Unknown label type: y must be all numbers or all strings; got {came}. Pass np.array(y).astype(str)."
        )
    if labels.dtype.kind == "f" and not (whole := (labels == np.round(labels)) & (np.abs(labels) < EXACT)).all():
        first = int(np.argmin(whole))
        raise InputError(
            f"y must hold class labels; got {labels[first]} at {first}. "
            "Remove images without a label; fit continuous targets with a regressor."
        )
    return labels


def check_unmasked(values: Any, name: str) -> None:
    """Raise `InputError` for a masked array, or lists of such, in which something is masked: the mask would be lost."""
    if masked := _count_masked(values):
        raise InputError(
            f"{name} must not be masked; {masked} values are. Pass {name}.filled(value), or leave these images out."
        )


def check_known(values: Any, name: str) -> None:
    """Raise `InputError` for a list, or an array of objects, in which something is missing: as a text it would be one more."""
    if missing := _count_missing(values):
        raise InputError(
            f"{name} must be known for every image; {missing} are missing (None or NaN). Leave these images out."
        )


def _count_missing(values: Any) -> int:
    if isinstance(values, np.ndarray) and values.dtype == object:
        values = values.ravel().tolist()
    return sum(map(_is_missing, values)) if isinstance(values, list | tuple) else 0


def _is_missing(value: object) -> bool:
    """None, NaN, and what pandas has for them."""
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _count_masked(values: Any) -> int:
    if isinstance(values, list | tuple):
        return sum(map(_count_masked, values))
    return int(np.ma.count_masked(values)) if isinstance(values, np.ma.MaskedArray) else 0


def _array(values: Any, name: str) -> np.ndarray:
    check_unmasked(values, name)
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(f"{name} must be one array; got parts of different shapes. Give all one shape.") from error
    except (TypeError, RuntimeError) as error:  # of tensors that NumPy cannot take
        raise InputError(f"{name} must be one array; {str(error).rstrip('.')}. Pass it as a NumPy array.") from error


def _float_array(x: Any) -> np.ndarray:
    if issparse(x):
        raise InputError(f"x must be dense; got a sparse array of shape {x.shape}. Pass x.toarray().")
    array = _array(x, "x")
    if array.dtype == object:
        array = _numbers(array)
    if array.dtype.kind == "c":
        raise InputError(
            f"x must hold real numbers; got {array.dtype}. Complex data not supported: pass x.real or abs(x)."
        )
    if array.dtype.kind not in "biuf":
        raise InputError(f"x must hold real numbers; got {array.dtype}. Pass x.astype(np.float32).")
    if array.dtype.kind in "iu" and array.dtype.itemsize > 2 and array.size:
        _check_exact(int(array.min()), int(array.max()), "x.astype(np.float64)")
    wide = array.dtype.kind == "f" and array.dtype.itemsize >= 8
    return array.astype(np.float64 if wide else np.float32, copy=False)


def _numbers(objects: np.ndarray) -> np.ndarray:
    shapes = {np.shape(cell) for cell in objects.flat if isinstance(cell, np.ndarray | list | tuple)}
    if shapes:
        remedy = (
            "Pass np.stack(list(x))." if len(shapes) == 1 else "Bring all to one size, then pass np.stack(list(x))."
        )
        raise InputError(
            f"x must be one array of numbers; got an array of {objects.size} arrays, of {len(shapes)} shape(s) such as "
            f"{min(shapes)}. {remedy}"
        )
    try:
        return objects.astype(np.float64)
    except (TypeError, ValueError) as error:
        kind = InputTypeError if isinstance(error, TypeError) else InputError
        missing = any(type(cell).__name__ == "NAType" for cell in objects.flat)  # of pandas
        remedy = "Fill in what is missing, or remove those images" if missing else "Pass x.astype(np.float32)"
        raise kind(f"x must hold real numbers; got objects, and {error}. {remedy}.") from error


def _float_tensor(x: torch.Tensor) -> torch.Tensor:
    check_dense("x", x)
    if x.is_complex():
        raise InputError(f"x must hold real numbers; got {x.dtype}. Pass x.real or x.abs().")
    if not x.is_floating_point() and x.element_size() > 2 and x.numel():
        least, greatest = x.double().aminmax()
        _check_exact(int(least), int(greatest), "x.double()")
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def _check_exact(least: int, greatest: int, remedy: str) -> None:
    if greatest > EXACT_SINGLE or least < -EXACT_SINGLE:
        raise InputError(
            f"x must hold integers of at most 2**24 = {EXACT_SINGLE}, which float32 tells apart; got {least} to {greatest}. "
            f"Pass {remedy}."
        )


def _check_image_shape(image_shape: Any) -> None:
    """Raise `InputError` unless it is None or three positive integers, of which one may be -1 instead."""
    if image_shape is None:
        return
    extents = list(image_shape) if isinstance(image_shape, Iterable) else [image_shape]
    whole = [extent for extent in extents if isinstance(extent, int | np.integer) and not isinstance(extent, bool)]
    counts = [extent for extent in whole if extent > 0 or extent == -1]
    if len(extents) != 3 or len(counts) != 3 or counts.count(-1) > 1:
        raise InputError(
            "image_shape must be (channels, height, width), positive integers, one of which may be -1; got "
            f"{image_shape!r}."
        )


def as_batch(x: Array, image_shape: tuple[int, int, int] | None = None) -> Array:
    """The layout of `check_images` alone: `(n, c, h, w)` of the type that it has, with any values."""
    _check_image_shape(image_shape)
    shape = tuple(x.shape)
    if x.ndim == 2:
        return _unflatten(x, image_shape)
    if x.ndim not in (3, 4):
        raise InputError(f"{LAYOUT}; got {shape}. Reshape your data: a single image is x[None], channels first.")
    if 0 in shape:
        raise InputError(f"{LAYOUT} with at least one image and one pixel; got {shape}.")
    if x.ndim == 3:
        if image_shape is None and shape[0] == shape[1] > max(CHANNEL_COUNTS) and shape[2] in (3, 4):
            raise InputError(
                f"{LAYOUT}; got {shape}. If it is one picture with its colors last, pass it as (1, {shape[2]}, {shape[0]}, "
                f"{shape[1]}); if it is {shape[0]} gray images, pass x[:, None]."
            )
        x = x[:, None]
    elif image_shape is None and _channels_may_be_last(shape):
        remedy = "np.moveaxis(x, -1, 1)" if isinstance(x, np.ndarray) else "x.movedim(-1, 1)"
        sure = "" if channels_seem_last(shape) else f"If they are first, say so with image_shape={shape[1:]}."
        raise InputError(f"{LAYOUT}; got {shape}. If the channels are last, pass {remedy}.", in_python=sure)
    if image_shape is not None and any(
        wanted not in (-1, got) for wanted, got in zip(image_shape, x.shape[1:], strict=True)
    ):
        raise InputError(f"x must hold images of shape {image_shape}; got {shape}. Correct image_shape.")
    return x


def channels_seem_last(shape: tuple[int, ...]) -> bool:
    """Whether images of this shape `(n, ...)` are pictures with their few colors last."""
    # Small feature maps such as (n, 64, 3, 3) are in order: a picture is larger than its channels are many.
    _, channels, height, width = shape
    return width in CHANNEL_COUNTS and channels not in CHANNEL_COUNTS and height > max(CHANNEL_COUNTS)


def _channels_may_be_last(shape: tuple[int, ...]) -> bool:
    """Whether channels seem last, or two equal sides come before a shorter one, as in a batch of many bands."""
    _, first, second, third = shape
    return channels_seem_last(shape) or first == second > third


def _unflatten(x: Array, image_shape: tuple[int, int, int] | None) -> Array:
    n, length = x.shape
    if image_shape is None:
        raise InputError(
            f"{LAYOUT}; got {(n, length)}. Reshape it.", in_python="Or pass image_shape=(channels, height, width)."
        )
    if not length:
        raise InputError(
            f"x must hold images of pixels; got 0 feature(s) (shape={(n, length)}) while a minimum of 1 is required."
        )
    known = int(np.prod([extent for extent in image_shape if extent != -1]))
    fits = length % known == 0 if -1 in image_shape else length == known
    if n == 0 or not fits:
        needed = f"a multiple of {known}" if -1 in image_shape else f"{known}"
        raise InputError(
            f"x must be (n, {needed}) with n > 0 for image_shape={tuple(image_shape)}; got {(n, length)}. "
            "Correct image_shape."
        )
    return x.reshape(n, *image_shape)


def _check_finite(x: Array) -> Array:
    finite = np.isfinite(x) if isinstance(x, np.ndarray) else torch.isfinite(x)
    if finite.all():
        return x
    wrong = np.argwhere(~(finite if isinstance(finite, np.ndarray) else finite.cpu().numpy()))
    first = tuple(wrong[0].tolist())
    raise InputError(
        f"x must be finite, without NaN and infinity; {len(wrong)} values are not, the first is {float(x[first])} at {first}. "
        "Remove or repair these images."
    )
