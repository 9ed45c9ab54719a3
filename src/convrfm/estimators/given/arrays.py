"""NumPy in, NumPy out; torch in, torch out, on the device of what came in."""

from typing import Any

import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data
from torch import Tensor

from ...errors import InputError
from ...kernels.ranges import check_squares, largest_size
from ...maths.dense import from_array

Array = Any  # a NumPy array or a torch tensor


def to_device(values: Array, device: torch.device, *, copy: bool = False) -> Tensor:
    """The values as a tensor there, on the same memory where torch may share it, unless a copy is asked for."""
    if not isinstance(values, Tensor):
        values = from_array("values", values)
    return values.detach().to(device, copy=copy)


def in_precision_of(fitted: Tensor, images: Tensor) -> Tensor:
    """Finite images where and as precise as those that were fitted; raises `InputError` where that cannot hold them."""
    largest, most = largest_size(images), torch.finfo(fitted.dtype).max
    if largest > most:
        raise InputError(
            f"x has values up to {largest:.2g}; the model was fitted to images in a precision that ends at {most:.2g}. Scale "
            "them as the training images were scaled."
        )
    moved = images.to(fitted)
    check_squares("x", moved, 1.0)
    return moved


def like(result: Tensor, x: Array) -> Array:
    """The result as what `x` is."""
    return result.to(x.device) if isinstance(x, Tensor) else result.cpu().numpy()


def check_same_size(images: Tensor, fitted: Tensor, estimator: str) -> None:
    """Raise `InputError` unless images are as large as those that were fitted."""
    if images.shape[1:] == fitted.shape[1:]:
        return
    n, n_fitted = images[0].numel(), fitted[0].numel()
    counts = f"X has {n} features, but {estimator} is expecting {n_fitted} features as input: "  # scikit-learn's words
    expected, got = (" x ".join(map(str, batch.shape[1:])) for batch in (fitted, images))
    single = images.shape[1] == 1 and (len(images), *images.shape[2:]) == fitted.shape[1:]
    remedy = "If it is a single image, pass x[None]." if single else "Resize them, or fit a model to this size."
    raise InputError(
        counts * (n != n_fitted)
        + f"the model was fitted to images of {expected} (channels x height x width); got {got}. {remedy}"
    )


def check_columns(estimator: BaseEstimator, x: Array, *, learn: bool = False) -> None:
    """Raise `InputError` unless the columns of a data frame have the names and the order of those that were fitted.

    scikit-learn's own check, with its warning where only one of both has names; `learn` sets `feature_names_in_`.
    """
    try:
        validate_data(estimator, x, reset=learn, skip_check_array=True, ensure_2d=False)
    except (ValueError, TypeError) as error:  # TypeError where some columns have texts for names and others numbers
        raise InputError(str(error)) from error
