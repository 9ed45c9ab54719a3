"""Estimators as files, and back."""

from collections.abc import Mapping
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...datasets import Preprocessing
from ...errors import InputError, ModelFileError, UnknownClassError
from ...storage.models import FORMAT, FORMAT_VERSION, ModelHeader, read_model, write_model
from .layer_files import Tensors


def save_model(
    path: Path,
    estimator: str,
    parameters: Mapping[str, Any],
    learned: dict[str, Any],
    tensors: Tensors,
    preprocessing: Preprocessing | None,
) -> None:
    """Write a fitted estimator to one file. A splitter in `cv` is not kept.

    Args:
        path: the file.
        estimator: the name of the class.
        parameters: the constructor's, without those that the layers' kernels stand for.
        learned: what was learned, as JSON.
        tensors: what was learned, as tensors.
        preprocessing: how raw pictures became images.
    """
    kept = {**parameters, "cv": parameters["cv"] if isinstance(parameters["cv"], Integral) else None}
    header = ModelHeader(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        library_version=version("convrfm"),
        estimator=estimator,
        parameters={name: to_json(value) for name, value in kept.items()},
        learned=learned,
        preprocessing=None if preprocessing is None else preprocessing.to_dict(),
    )
    write_model(path, header, tensors)


def load_model(path: Path, estimators: Mapping[str, type[Any]], device: str) -> Any:
    """Read an estimator that `save_model` wrote; its class must be one of `estimators`."""
    header, tensors = read_model(path)
    if header.estimator not in estimators:
        raise ModelFileError(f"{path} holds a {header.estimator}; this convrfm knows {sorted(estimators)}.")
    try:
        return estimators[header.estimator].from_file(header, tensors, device)
    except InputError:
        raise
    except UnknownClassError as error:
        raise UnknownClassError(f"{path} cannot be read: {error}") from error
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError, MemoryError) as error:
        raise ModelFileError(f"{path} is damaged: its header and its tensors do not fit together ({error}).") from error


def to_json(value: Any) -> Any:
    """A parameter as JSON."""
    if isinstance(value, slice):
        return {"slice": [to_json(part) for part in (value.start, value.stop, value.step)]}
    if isinstance(value, dict):
        return {"weights": [[to_json(label), to_json(weight)] for label, weight in value.items()]}
    if isinstance(value, np.ndarray | np.generic | Tensor):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [to_json(part) for part in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.device):
        return str(value)
    raise InputError(
        f"a parameter of type {type(value).__name__} cannot be saved: {value!r}. Use numbers, text or lists."
    )


def from_json(value: Any) -> Any:
    """The parameter that `to_json` wrote."""
    if isinstance(value, dict) and set(value) == {"slice"}:
        return slice(*value["slice"])
    if isinstance(value, dict) and set(value) == {"weights"}:
        return dict(value["weights"])
    return tuple(value) if isinstance(value, list) else value
