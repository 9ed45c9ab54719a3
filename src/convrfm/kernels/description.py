"""Kernels as plain data and back, for saved models and reports."""

import dataclasses
from typing import Any

from ..errors import InputError, ModelFileError
from .architecture import Architecture
from .infinite import NNGP, NTK, InfiniteWidthKernel
from .layers import GELU, ABReLU, AvgPool, Conv, Erf, Flatten, GlobalAvgPool, LeakyReLU, ReLU
from .patch_kernel import PatchKernel
from .radial import Gaussian, Laplace, RadialKernel

LAYERS = {t.__name__: t for t in (Conv, AvgPool, ReLU, ABReLU, LeakyReLU, Erf, GELU, Flatten, GlobalAvgPool)}
INFINITE: dict[str, type[InfiniteWidthKernel]] = {t.__name__: t for t in (NNGP, NTK)}
RADIAL: dict[str, type[RadialKernel]] = {t.__name__: t for t in (Laplace, Gaussian)}


def describe(kernel: object) -> dict[str, Any]:
    """A JSON-safe description from which `from_description` makes an equal kernel."""
    if isinstance(kernel, RadialKernel):
        return {"kernel": type(kernel).__name__, **dataclasses.asdict(kernel)}
    if not isinstance(kernel, InfiniteWidthKernel):
        raise InputError(
            f"only kernels of convrfm.kernels can be saved; got {type(kernel).__name__}. A file that could rebuild "
            f"any class "
            "would have to run code when it is read."
        )
    layers = [{"layer": type(layer).__name__, **dataclasses.asdict(layer)} for layer in kernel.architecture.layers]
    return {
        "kernel": type(kernel).__name__,
        "layers": layers,
        "engine": kernel.engine,
        "memory_budget": kernel.memory_budget,
        "rank_tolerance": kernel.rank_tolerance,
    }


def from_description(description: dict[str, Any]) -> PatchKernel:
    """The kernel that `describe` described.

    Raises:
        ModelFileError: if it names kernels, layers or settings that do not exist.
    """
    try:
        if description["kernel"] in RADIAL:
            return RADIAL[description["kernel"]](**_without(description, "kernel"))
        layers = [LAYERS[entry["layer"]](**_without(entry, "layer")) for entry in description["layers"]]
        settings = _without(_without(description, "kernel"), "layers")
        return INFINITE[description["kernel"]](Architecture(*layers), **settings)
    except (KeyError, TypeError, InputError) as error:
        raise ModelFileError(f"the description of a kernel cannot be read: {error}") from error


def _without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}
