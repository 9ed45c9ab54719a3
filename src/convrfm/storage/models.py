"""Saved models: one safetensors file whose header carries JSON. Reading one executes nothing."""

from pathlib import Path
from typing import Any

from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import ModelFileError
from .atomic import written_whole

FORMAT = "convrfm-model"
FORMAT_VERSION = 6
_KEY = "convrfm"


class ModelHeader(BaseModel):
    """What a saved model says of itself beside its tensors.

    Attributes:
        format: always "convrfm-model".
        format_version: raised when the meaning of a field changes.
        library_version: the convrfm that wrote it.
        estimator: the class's name.
        parameters: the constructor's, as JSON.
        learned: layers with the descriptions of their kernels, classes, history and the like, as JSON.
        preprocessing: how raw pictures became images, or None.
    """

    model_config = ConfigDict(extra="forbid")

    format: str
    format_version: int
    library_version: str
    estimator: str
    parameters: dict[str, Any]
    learned: dict[str, Any]
    preprocessing: dict[str, Any] | None


def write_model(path: Path, header: ModelHeader, tensors: dict[str, Float[Tensor, "..."]]) -> None:
    """Write one file, atomically."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with written_whole(path) as partial:
        save_file(contiguous, partial, metadata={_KEY: header.model_dump_json()})


def read_model(path: Path) -> tuple[ModelHeader, dict[str, Float[Tensor, "..."]]]:
    """Read a file that `write_model` wrote.

    Raises:
        ModelFileError: if it is missing, damaged, not a convrfm model, or of another format version.
    """
    if not path.is_file():
        raise ModelFileError(
            f"there is no model file {path}. Pass the file that save() wrote, or a run folder's model."
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise ModelFileError(
            f"{path} is damaged or is not a convrfm model ({error}). Save the model again, or copy the file again."
        ) from error
    if _KEY not in metadata:
        raise ModelFileError(
            f"{path} is a safetensors file, but not a convrfm model: it was written by something else."
        )
    try:
        header = ModelHeader.model_validate_json(metadata[_KEY])
    except ValidationError as error:
        raise ModelFileError(f"the header of {path} is damaged: {error}") from error
    if header.format != FORMAT or header.format_version != FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format {header.format!r} version {header.format_version}; this convrfm reads {FORMAT!r} version "
            f"{FORMAT_VERSION}. It was written by convrfm {header.library_version}: use that one, or fit again."
        )
    return header, tensors
