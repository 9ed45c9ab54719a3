"""Kernels as plain data and back, for saved models and reports."""

import dataclasses
from typing import Any

from ..errors import InputError, ModelFileError
from .activations import ACTIVATIONS
from .architecture import Architecture
from .layers import AvgPool, Conv, Flatten, GlobalAvgPool, Layer
from .patch_kernel import PatchKernel

LAYERS = {t.__name__: t for t in (Conv, AvgPool, *ACTIVATIONS, Flatten, GlobalAvgPool)}


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
    name = type(kernel).__name__
    if _home(kernel_classes()[name]) != _home(type(kernel)):
        raise InputError(f"two kernels are called {name}: a file could not tell them apart. Rename one.")
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(kernel):
        value = getattr(kernel, field.name)
        if isinstance(value, Architecture):
            fields["layers"] = [_described(layer) for layer in value.layers]
        else:
            fields[field.name] = value
    return {"kernel": name, **fields}


def _described(layer: Layer) -> dict[str, Any]:
    if LAYERS.get(type(layer).__name__) is not type(layer) or not dataclasses.is_dataclass(layer):
        raise InputError(
            f"only layers of convrfm.kernels can be saved; got {layer}. A file cannot rebuild a class that it does not know: "
            f"add it to ACTIVATIONS (docs/extending.md)."
        )
    return {"layer": type(layer).__name__, **dataclasses.asdict(layer)}


def from_description(description: dict[str, Any]) -> PatchKernel:
    """The kernel that `describe` described; its class is among those that are imported, and nothing is imported for it.

    Raises:
        ModelFileError: if it names kernels, layers or settings that do not exist.
    """
    try:
        classes, fields = kernel_classes(), _without(description, "kernel")
        if description["kernel"] not in classes:
            raise ModelFileError(
                f"no kernel {description['kernel']!r} is known here. Import the module that defines it, then read again."
            )
        if "layers" in fields:
            layers = [LAYERS[entry["layer"]](**_without(entry, "layer")) for entry in fields["layers"]]
            fields = _without(fields, "layers") | {"architecture": Architecture(*layers)}
        return classes[description["kernel"]](**fields)
    except (KeyError, TypeError, InputError) as error:
        raise ModelFileError(f"the description of a kernel cannot be read: {error}") from error


def kernel_classes(base: type[PatchKernel] = PatchKernel) -> dict[str, type[PatchKernel]]:
    """Every kernel that is defined, by name; of several with one name the first, in its latest definition."""
    found: dict[str, type[PatchKernel]] = {}
    for derived in base.__subclasses__():
        for name, kind in [(derived.__name__, derived), *kernel_classes(derived).items()]:
            if name not in found or _home(found[name]) == _home(kind):
                found[name] = kind
    return found


def _home(kind: type[PatchKernel]) -> tuple[str, str]:
    return kind.__module__, kind.__qualname__


def _without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}
