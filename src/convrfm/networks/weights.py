"""Weights of networks from files, into networks."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import InputError, ModelFileError

NAMES_SHOWN = 3
COUNTERS = "num_batches_tracked"  # of batch norms, which older files lack and nothing needs


def load_weights(path: str | Path) -> dict[str, Tensor]:
    """A state dict from `.safetensors`, or from a `.pt` or `.pth` file that holds tensors only.

    A file that needs code to be unpickled is refused. State dicts nested under `state_dict` or `model` are found, and
    the prefix `module.` of data-parallel networks is dropped.

    Raises:
        ModelFileError: If the file is missing, damaged or unsafe.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"{path} cannot be read as weights: there is no such file.")
    try:
        data: Any = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelFileError(
            f"{path} is not a plain file of tensors: reading it could run code, so it is refused. "
            f"If you trust its source, write its state_dict as safetensors first. ({_first_line(error)})"
        ) from error
    except Exception as error:  # what torch's own unpickler raises of damaged files has no bounds
        remedy = "Copy the file again."
        if "TorchScript" in str(error):
            remedy = f"Write its state_dict: torch.save(torch.jit.load({str(path)!r}).state_dict(), 'weights.pt')."
        raise ModelFileError(f"{path} cannot be read as weights: {_first_line(error)} {remedy}") from error
    for key in ("state_dict", "model"):
        if isinstance(data, Mapping) and isinstance(data.get(key), Mapping):
            data = data[key]
    if not isinstance(data, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in data.items()
    ):
        raise ModelFileError(f"{path} must hold a state dict of tensors; it holds {type(data).__name__}.")
    return {key.removeprefix("module."): value for key, value in data.items()}


def fill_with_weights(network: nn.Module, path: str | Path) -> None:
    """Load a file of weights into a network.

    Raises:
        ModelFileError: If the file is missing, damaged or unsafe, or a weight is not finite.
        InputError: If the weights are those of another network.
    """
    weights, own = load_weights(path), network.state_dict()
    differing = [
        (f"{kind}: {len(names)} ({', '.join(names[:NAMES_SHOWN])}{', ...' * (len(names) > NAMES_SHOWN)})")
        for kind, names in (
            ("missing", [name for name in own if name not in weights and not name.endswith(COUNTERS)]),
            ("unknown", [name for name in weights if name not in own]),
            ("of another shape", [name for name in own if name in weights and own[name].shape != weights[name].shape]),
        )
        if names
    ]
    if differing:
        raise InputError(
            f"{path} must hold the {len(own)} weights of this network; {'; '.join(differing)}. Name the network that it was "
            "saved from, with as many classes."
        )
    unsound = [name for name, value in weights.items() if not torch.isfinite(value).all()]
    if unsound:
        raise ModelFileError(
            f"{path} holds NaN or infinity in {', '.join(unsound[:NAMES_SHOWN])}. Its training diverged, or it is damaged."
        )
    network.load_state_dict({name: weights.get(name, value) for name, value in own.items()})


def _first_line(error: BaseException) -> str:
    return f"{error}".partition("\n")[0] or type(error).__name__
