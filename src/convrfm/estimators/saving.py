"""Fitted estimators as files, and back."""

from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..datasets import Preprocessing
from ..errors import InputError, ModelFileError
from ..kernels.description import describe, from_description
from ..storage.models import FORMAT, FORMAT_VERSION, ModelHeader, read_model, write_model

Tensors = dict[str, Float[Tensor, "..."]]


@runtime_checkable
class Savable(Protocol):
    """An estimator that can put what it learned into JSON and tensors, and take it back."""

    preprocessing_: Preprocessing | None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's parameters."""

    def _learned(self) -> tuple[dict[str, Any], Tensors]: ...

    def _restore(self, learned: dict[str, Any], tensors: Tensors, outputs: int | None = None) -> None: ...


def save_model(model: Savable, path: Path, preprocessing: Preprocessing | None) -> None:
    """Write a fitted estimator to one file."""
    learned, tensors = model._learned()
    parameters = model.get_params(deep=False)
    kernel = parameters.pop("kernel")
    header = ModelHeader(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        library_version=version("convrfm"),
        estimator=type(model).__name__,
        parameters={name: _to_json(value) for name, value in parameters.items()},
        kernel=describe(kernel),
        learned=learned,
        preprocessing=None if preprocessing is None else preprocessing.to_dict(),
    )
    write_model(path, header, tensors)


def load_model(path: Path, estimators: dict[str, type], device: str) -> Any:
    """Read an estimator that `save_model` wrote; its class must be one of `estimators`."""
    header, tensors = read_model(path)
    if header.estimator not in estimators:
        raise ModelFileError(f"{path} holds a {header.estimator}; this convrfm knows {sorted(estimators)}.")
    try:
        parameters = {name: _from_json(value) for name, value in header.parameters.items()}
        parameters["device"] = device
        model = estimators[header.estimator](kernel=from_description(header.kernel), **parameters)
        model._restore(header.learned, tensors)
        model.preprocessing_ = None if header.preprocessing is None else Preprocessing.from_dict(header.preprocessing)
    except InputError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"{path} is damaged: its header and its tensors do not fit together ({error}).") from error
    return model


def labels_to_json(classes: np.ndarray) -> dict[str, Any]:
    """Class labels of any sortable plain type as JSON."""
    return {"dtype": classes.dtype.str, "values": classes.tolist()}


def labels_from_json(entry: dict[str, Any]) -> np.ndarray:
    """The labels that `labels_to_json` wrote."""
    kind = np.dtype(entry["dtype"])
    return np.asarray(entry["values"], dtype=object if kind.kind == "O" else kind)


def _to_json(value: Any) -> Any:
    if isinstance(value, slice):
        return {"slice": [_to_json(part) for part in (value.start, value.stop, value.step)]}
    if isinstance(value, np.ndarray | np.generic | Tensor):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_to_json(part) for part in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.device):
        return str(value)
    raise InputError(
        f"a parameter of type {type(value).__name__} cannot be saved: {value!r}. Use numbers, text or lists."
    )


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"slice"}:
        return slice(*value["slice"])
    return tuple(value) if isinstance(value, list) else value
