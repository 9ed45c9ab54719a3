"""Tensors of an unfinished computation in a file, which is believed only where it is whole and of the same computation."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Shaped
from safetensors import SafetensorError
from torch import Tensor

from .digests import digest
from .tensors import read_tensors, write_tensors

Tensors = Mapping[str, Shaped[Tensor, "..."]]


def write_state(path: Path, tensors: Tensors, computation: str) -> None:
    """Keep tensors, whole or not at all.

    Args:
        path: the file.
        tensors: by name.
        computation: a digest of all that decides what becomes of them.

    Raises:
        InputError: as `atomic.written_whole`.
    """
    write_tensors(path, tensors, {"digest": digest({"of": computation}, tensors)})


def read_state(path: Path, computation: str) -> dict[str, Shaped[Tensor, "..."]] | None:
    """The tensors that were kept; None where there are none of this computation, or they are damaged."""
    if not path.is_file():
        return None
    try:
        texts, tensors = read_tensors(path)
    except (SafetensorError, OSError):
        return None
    return tensors if texts.get("digest") == digest({"of": computation}, tensors) else None


@dataclass(frozen=True)
class KeptState:
    """The file of one unfinished computation.

    Attributes:
        path: the file; its folder is made when it is first written.
        computation: as `write_state` has it.
    """

    path: Path
    computation: str

    def read(self) -> Tensors | None:
        """What `read_state` reads."""
        return read_state(self.path, self.computation)

    def write(self, tensors: Tensors) -> None:
        """Keep these in place of what was there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_state(self.path, tensors, self.computation)

    def remove(self) -> None:
        """Keep nothing any longer."""
        self.path.unlink(missing_ok=True)
