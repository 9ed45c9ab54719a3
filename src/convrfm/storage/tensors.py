"""Tensors in a safetensors file, whole or not at all; reading one executes nothing."""

from collections.abc import Mapping
from pathlib import Path

from jaxtyping import Shaped
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from .atomic import written_whole


def write_tensors(
    path: Path, tensors: Mapping[str, Shaped[Tensor, "..."]], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors by name, and texts by name in the header.

    Raises:
        InputError: as `atomic.written_whole`.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with written_whole(path) as unfinished:
        save_file(contiguous, unfinished, metadata=None if metadata is None else dict(metadata))


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Shaped[Tensor, "..."]]]:
    """The texts in the header, and the tensors, both by name.

    Raises:
        OSError, MemoryError, SafetensorError: if the file is missing, larger than memory, or no such file.
    """
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
