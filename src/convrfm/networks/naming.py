"""Networks by name: `torchvision:NAME[@WEIGHTS]`, `timm:NAME`, `package.module:factory`, and weights from a file."""

import importlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import InputError, MissingDependencyError, ModelFileError


def load_network(name: str) -> nn.Module:
    """Build a network by name.

    Args:
        name: `torchvision:resnet18` (random weights), `torchvision:resnet18@IMAGENET1K_V1` (downloads weights),
            `timm:mobilenetv3_small_050` (random weights), or `package.module:factory`, called without arguments.

    Raises:
        InputError: If there is no such network.
        MissingDependencyError: If torchvision or timm is not installed.

    Example:
        >>> type(load_network("convrfm.networks:resnet20")).__name__
        'CifarResNet'
    """
    source, colon, rest = name.partition(":")
    if not colon or not rest:
        raise InputError(f"network must be torchvision:NAME, timm:NAME or package.module:factory; got {name!r}.")
    if source == "torchvision":
        return _from_torchvision(rest)
    if source == "timm":
        return _from_timm(rest)
    return _from_factory(source, rest)


def load_weights(path: str | Path) -> dict[str, Tensor]:
    """A state dict from `.safetensors`, or from a `.pt` or `.pth` file that holds tensors only.

    A file that needs code to be unpickled is refused. State dicts nested under `state_dict` or `model` are found, and
    the prefix `module.` of data-parallel networks is dropped.

    Raises:
        ModelFileError: If the file is missing, damaged or unsafe.
    """
    path = Path(path)
    try:
        data: Any = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelFileError(
            f"{path} is not a plain file of tensors: reading it could run code, so it is refused. "
            f"If you trust its source, write its state_dict as safetensors first. ({str(error).splitlines()[0]})"
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, SafetensorError) as error:
        raise ModelFileError(f"{path} cannot be read as weights: {error}") from error
    for key in ("state_dict", "model"):
        if isinstance(data, Mapping) and isinstance(data.get(key), Mapping):
            data = data[key]
    if not isinstance(data, Mapping) or not all(isinstance(value, Tensor) for value in data.values()):
        raise ModelFileError(f"{path} must hold a state dict of tensors; it holds {type(data).__name__}.")
    return {key.removeprefix("module."): value for key, value in data.items()}


def _from_torchvision(name: str) -> nn.Module:
    models = _library("torchvision", "torchvision.models")
    architecture, _, weights = name.partition("@")
    try:
        return models.get_model(architecture, weights=weights or None)
    except (ValueError, KeyError) as error:
        raise InputError(f"torchvision has no network {name!r}: {error}") from error


def _from_timm(name: str) -> nn.Module:
    timm = _library("timm", "timm")
    if not timm.is_model(name):
        raise InputError(f"timm has no network {name!r}; timm.list_models('*part*') lists its names.")
    return timm.create_model(name, pretrained=False)


def _from_factory(module: str, factory: str) -> nn.Module:
    try:
        build = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError) as error:
        raise InputError(f"there is no {factory!r} in {module!r} to build a network from: {error}") from error
    network = build()
    if not isinstance(network, nn.Module):
        raise InputError(f"{module}:{factory} must return a torch.nn.Module; it returned {type(network).__name__}.")
    return network


def _library(name: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(f"networks of {name} need it installed: pip install 'convrfm[vision]'.") from error
