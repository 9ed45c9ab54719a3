"""Checkpoints of a training: one safetensors file, written whole; reading it executes nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ..errors import InputError, ModelFileError
from ..storage.digests import digest
from ..storage.tensors import read_tensors, write_tensors
from ..storage.values import values_from

CHECKPOINT = "checkpoint.safetensors"
KEY = "convrfm"
NETWORK, KEPT, OPTIMIZER = "network/", "kept/", "optimizer/"


@dataclass(frozen=True)
class Checkpoint:
    """A training after an epoch.

    Attributes:
        identity: What decides the training, as plain values.
        epochs: A record for every finished epoch, as plain values.
        tensors: Weights of the network, of the best epoch so far, and what the optimizer remembers.
    """

    identity: Mapping[str, Any]
    epochs: list[dict[str, Any]]
    tensors: Mapping[str, Tensor]

    @classmethod
    def of(
        cls,
        identity: Mapping[str, Any],
        epochs: list[dict[str, Any]],
        network: nn.Module,
        kept: Mapping[str, Tensor],
        optimizer: torch.optim.Optimizer,
    ) -> "Checkpoint":
        """The checkpoint of a training as it stands."""
        remembered = optimizer.state_dict()["state"]
        tensors = {f"{NETWORK}{name}": value for name, value in network.state_dict().items()}
        tensors |= {f"{KEPT}{name}": value for name, value in kept.items()}
        tensors |= {
            f"{OPTIMIZER}{number}/{name}": value
            for number, state in remembered.items()
            for name, value in state.items()
            if value is not None
        }
        return cls(identity, epochs, tensors)

    def restore(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        """Put a training back to where it stood; returns the weights of the best epoch."""
        network.load_state_dict(self._named(NETWORK))
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in self._named(OPTIMIZER).items():
            number, name = key.split("/")
            state.setdefault(int(number), {})[name] = value
        optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        return self._named(KEPT)

    def _named(self, prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write it into the folder of the training, in the place of an earlier one."""
    values = {"identity": checkpoint.identity, "epochs": checkpoint.epochs}
    tensors = {name: value.detach().cpu().contiguous() for name, value in checkpoint.tensors.items()}
    metadata = {KEY: json.dumps(values | {"digest": digest(values, tensors)})}
    write_tensors(folder / CHECKPOINT, tensors, metadata)


def read_checkpoint(folder: Path, identity: Mapping[str, Any]) -> Checkpoint | None:
    """The checkpoint in a folder, None where there is none.

    Raises:
        ModelFileError: If it is damaged in any bit, or something else.
        InputError: If it is that of another training.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        texts, tensors = read_tensors(path)
        values = values_from(texts[KEY])
    except (SafetensorError, OSError, MemoryError, ValueError, KeyError) as error:
        raise ModelFileError(f"{path} is damaged or no checkpoint ({error}). Remove it to begin anew.") from error
    if values.pop("digest", None) != digest(values, tensors):
        raise ModelFileError(f"{path} is damaged: it holds other numbers than were saved. Remove it to begin anew.")
    wanted = json.loads(json.dumps(identity))
    if differing := [name for name in wanted if values["identity"].get(name) != wanted[name]]:
        raise InputError(
            f"{folder} holds a training that differs in {', '.join(differing)}. Repeat its settings to continue it, or "
            "choose another folder."
        )
    return Checkpoint(wanted, values["epochs"], tensors)
