"""Kernels as plain data and back, for saved models and reports."""

import dataclasses
from typing import Any

import numpy as np

from ..errors import InputError, ModelFileError, UnknownClassError
from .activations.activation import Activation
from .architecture import Architecture
from .layers import AvgPool, Conv, Flatten, GlobalAvgPool, Layer
from .patch_kernel import PatchKernel

LAYERS: dict[str, type[Layer]] = {t.__name__: t for t in (Conv, AvgPool, Flatten, GlobalAvgPool)}


def describe(kernel: object) -> dict[str, Any]:
    """A JSON-safe description from which `from_description` makes an equal kernel: its class by name, and its fields.

    Raises:
        InputError: for what is no patch kernel, and for one that shares its name with another.
    """
    if not (isinstance(kernel, PatchKernel) and dataclasses.is_dataclass(kernel)):
        raise InputError(
            f"only dataclasses derived from kernels.PatchKernel can be saved; got {type(kernel).__name__}. A file that "
            "could rebuild any class would have to run code when it is read."
        )
    name = _name(kernel, PatchKernel)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(kernel):
        value = getattr(kernel, field.name)
        if isinstance(value, Architecture):
            fields["layers"] = [_described(layer) for layer in value.layers]
        else:
            fields[field.name] = _plain(value)
    return {"kernel": name, **fields}


def _described(layer: Layer) -> dict[str, Any]:
    name = _name(layer, Activation) if isinstance(layer, Activation) else type(layer).__name__
    if not dataclasses.is_dataclass(layer) or not (isinstance(layer, Activation) or LAYERS.get(name) is type(layer)):
        raise InputError(
            f"only layers of convrfm.kernels and activations that are dataclasses can be saved; got {layer}. A file could not "
            "rebuild it."
        )
    return {"layer": name} | {field: _plain(value) for field, value in dataclasses.asdict(layer).items()}


def _name(instance: object, base: type[Any]) -> str:
    """The name of its class; raises `InputError` if another class below `base` has it too."""
    name = type(instance).__name__
    if _home(classes_below(base)[name]) != _home(type(instance)):
        kind = "kernels" if base is PatchKernel else "activations"
        raise InputError(f"two {kind} are called {name}: a file could not tell them apart. Rename one.")
    return name


def from_description(description: dict[str, Any]) -> PatchKernel:
    """The kernel that `describe` described; it and its activations are of classes that are imported, and nothing is imported.

    Raises:
        UnknownClassError: if it names kernels or activations of which no class is imported.
        ModelFileError: if it has other settings than these, or is no such description.
    """
    try:
        classes, fields = classes_below(PatchKernel), _without(description, "kernel")
        if description["kernel"] not in classes:
            raise UnknownClassError(
                f"no kernel {description['kernel']!r} is known here. Import the module that defines it, then read again."
            )
        if "layers" in fields:
            known = classes_below(Activation) | LAYERS
            if unknown := next((entry["layer"] for entry in fields["layers"] if entry["layer"] not in known), None):
                raise UnknownClassError(
                    f"no activation {unknown!r} is known here. Import the module that defines it, then read again."
                )
            layers = [known[entry["layer"]](**_without(entry, "layer")) for entry in fields["layers"]]
            fields = _without(fields, "layers") | {"architecture": Architecture(*layers)}
        return classes[description["kernel"]](**fields)
    except (AttributeError, KeyError, TypeError, InputError) as error:
        raise ModelFileError(f"the description of a kernel cannot be read: {error}") from error


def classes_below(base: type[Any]) -> dict[str, type[Any]]:
    """Every class that is derived from one, by name; of several with one name the first, in its latest definition."""
    found: dict[str, type[Any]] = {}
    for derived in base.__subclasses__():
        for name, kind in [(derived.__name__, derived), *classes_below(derived).items()]:
            if name not in found or _home(found[name]) == _home(kind):
                found[name] = kind
    return found


def _plain(value: Any) -> Any:
    """A number of NumPy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


def _home(kind: type[Any]) -> tuple[str, str]:
    return kind.__module__, kind.__qualname__


def _without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    """The other fields; JSON knows no tuples, and frozen dataclasses hold no lists."""
    return {name: _as_tuple(value) for name, value in entry.items() if name != key}


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
