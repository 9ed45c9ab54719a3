"""Fitted estimators as files, and back."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import Any, Protocol, get_args, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..datasets import Preprocessing
from ..errors import InputError, ModelFileError
from ..kernels.description import describe, from_description
from ..maths.random_filters import CENTERINGS, GAIN, RandomFeatures
from ..storage.models import FORMAT, FORMAT_VERSION, ModelHeader, read_model, write_model
from .layers import Keep, Layer
from .problem import LearnableKernel
from .rounds import record_of, round_from_record
from .targets import Quality

Tensors = dict[str, Float[Tensor, "..."]]
ROUND_TENSORS = ("feature_matrix", "dual_coef", "amplitude")


@runtime_checkable
class Savable(Protocol):
    """An estimator that can put what it learned into JSON and tensors, and take it back."""

    preprocessing_: Preprocessing | None
    layers_: tuple[Layer, ...]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's parameters."""

    def _parameters_of(self, kernels: Sequence[LearnableKernel]) -> dict[str, Any]: ...

    def _learned(self) -> tuple[dict[str, Any], Tensors]: ...

    def _restore(self, learned: dict[str, Any], tensors: Tensors, outputs: int | None = None) -> None: ...


def save_model(model: Savable, path: Path, preprocessing: Preprocessing | None) -> None:
    """Write a fitted estimator to one file. A splitter in `cv` is not kept."""
    learned, tensors = model._learned()
    kept_as_kernels = model._parameters_of([layer.kernel for layer in model.layers_])
    parameters = {name: value for name, value in model.get_params(deep=False).items() if name not in kept_as_kernels}
    if not isinstance(parameters["cv"], Integral):
        parameters["cv"] = None
    header = ModelHeader(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        library_version=version("convrfm"),
        estimator=type(model).__name__,
        parameters={name: _to_json(value) for name, value in parameters.items()},
        learned=learned,
        preprocessing=None if preprocessing is None else preprocessing.to_dict(),
    )
    write_model(path, header, tensors)


def load_model(path: Path, estimators: Mapping[str, Any], device: str) -> Any:
    """Read an estimator that `save_model` wrote; its class must be one of `estimators`."""
    header, tensors = read_model(path)
    if header.estimator not in estimators:
        raise ModelFileError(f"{path} holds a {header.estimator}; this convrfm knows {sorted(estimators)}.")
    try:
        estimator = estimators[header.estimator]
        parameters = {name: _from_json(value) for name, value in header.parameters.items()} | {"device": device}
        kernels = [from_description(layer["kernel"]) for layer in header.learned["layers"]]
        model = estimator(**(parameters | estimator._parameters_of(kernels)))
        model._restore(header.learned, tensors)
        model.preprocessing_ = None if header.preprocessing is None else Preprocessing.from_dict(header.preprocessing)
    except InputError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ModelFileError(f"{path} is damaged: its header and its tensors do not fit together ({error}).") from error
    return model


def layers_to_file(layers: Sequence[Layer]) -> tuple[list[dict[str, Any]], Tensors]:
    """Kernels, rounds and filters as JSON and tensors."""
    entries, tensors = [], {}
    for number, layer in enumerate(layers):
        records = [record_of(round_) for round_ in layer.rounds]
        entry: dict[str, Any] = {"kernel": describe(layer.kernel), "keep": layer.keep, "rounds": records}
        for round_ in layer.rounds:
            for name in ROUND_TENSORS:
                tensors[f"{name}.{number}.{round_.iteration}"] = getattr(round_, name)
            if round_.agop_coef is not round_.dual_coef:
                tensors[f"agop_coef.{number}.{round_.iteration}"] = round_.agop_coef
        if layer.features is not None:
            tensors[f"filters.{number}"] = layer.features.filters
            entry |= {
                "activation": layer.features.activation,
                "centering": layer.features.centering,
                "centerings": layer.centering_records,
            }
            if layer.features.mean is not None:
                tensors[f"feature_mean.{number}"] = layer.features.mean
        entries.append(entry)
    return entries, tensors


def layers_from_file(entries: Sequence[dict[str, Any]], tensors: Tensors, outputs: int | None) -> list[Layer]:
    """The layers that `layers_to_file` wrote.

    Args:
        entries: the JSON part.
        tensors: the tensors, with the training images `x_fit`.
        outputs: how many outputs there must be; None for any number.

    Raises:
        ValueError: if shapes do not fit together.
        KeyError: if something is missing.
    """
    n, channels = tensors["x_fit"].shape[:2]
    layers = []
    for number, entry in enumerate(entries):
        kernel = from_description(entry["kernel"])
        d = channels * kernel.window.size**2
        if entry["keep"] not in get_args(Keep):
            raise ValueError(f"which round layer {number} keeps is unknown: {entry['keep']!r}")
        layer = Layer(kernel, entry["keep"])
        for record in entry["rounds"]:
            metric, coef, amplitude = (tensors[f"{name}.{number}.{record['iteration']}"] for name in ROUND_TENSORS)
            agop_coef = tensors.get(f"agop_coef.{number}.{record['iteration']}", coef)
            if metric.shape != (d, d) or coef.ndim != 2 or coef.shape != (n, outputs or coef.shape[1]):
                raise ValueError(f"round {record['iteration']} does not fit {n} images with patches of {d} entries")
            if amplitude.shape != coef.shape[1:] or agop_coef.shape != coef.shape:
                raise ValueError(f"round {record['iteration']} has tensors of different numbers of outputs")
            layer.rounds.append(round_from_record(record, metric, coef, agop_coef, amplitude))
        if not layer.rounds:
            raise ValueError(f"layer {number} has no rounds")
        if number + 1 < len(entries):
            if entry["activation"] not in GAIN:
                raise ValueError(f"the activation of layer {number} is unknown: {entry['activation']!r}")
            filters = tensors[f"filters.{number}"]
            centering = entry["centering"]
            if centering not in CENTERINGS:
                raise ValueError(f"the centering of layer {number} is unknown: {centering!r}")
            mean = None if centering is None else tensors[f"feature_mean.{number}"]
            channels = len(filters)
            if filters.shape != (channels, d) or (mean is not None and mean.shape != (channels,)):
                raise ValueError(f"the filters of layer {number} do not fit patches of {d} entries")
            layer.features = RandomFeatures(filters, kernel.window, entry["activation"], centering, mean)
            layer.qualities = {
                at["centering"]: Quality.from_figures(at) if "error" in at else None for at in entry["centerings"]
            }
        layers.append(layer)
    return layers


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
    if isinstance(value, dict):
        return {"weights": [[_to_json(label), _to_json(weight)] for label, weight in value.items()]}
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
    if isinstance(value, dict) and set(value) == {"weights"}:
        return dict(value["weights"])
    return tuple(value) if isinstance(value, list) else value
