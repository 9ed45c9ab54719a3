"""Saved models: one safetensors file whose header carries JSON. Reading one executes nothing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from ..errors import ModelFileError
from .digests import digest
from .tensors import read_tensors, write_tensors

FORMAT = "convrfm-model"
FORMAT_VERSION = 11
FILE_NAME = "model.safetensors"  # in the folder of a run
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


def write_model(path: Path, header: ModelHeader, tensors: Mapping[str, Float[Tensor, "..."]]) -> None:
    """Write one file, atomically, with a digest of all that it says."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    values = header.model_dump(mode="json")
    metadata = {_KEY: json.dumps(values | {"digest": digest(values, contiguous)})}
    write_tensors(path, contiguous, metadata)


def read_model(path: Path) -> tuple[ModelHeader, dict[str, Float[Tensor, "..."]]]:
    """Read a file that `write_model` wrote, or such a file in the folder of a run.

    Raises:
        ModelFileError: if it is missing, damaged in any bit, not a convrfm model, or of another format version.
    """
    path = path / FILE_NAME if path.is_dir() else path
    if not path.is_file():
        raise ModelFileError(f"there is no model file {path}. Pass the file that save() wrote, or the folder of a run.")
    try:
        metadata, tensors = read_tensors(path)
    except (SafetensorError, OSError, MemoryError) as error:
        raise ModelFileError(
            f"{path} is damaged or is not a convrfm model ({error}). Save the model again, or copy the file again."
        ) from error
    if _KEY not in metadata:
        raise ModelFileError(
            f"{path} is a safetensors file, but not a convrfm model: it was written by something else."
        )
    return _checked_header(path, metadata[_KEY], tensors), tensors


def _checked_header(path: Path, text: str, tensors: Mapping[str, Tensor]) -> ModelHeader:
    try:
        values = json.loads(text)
        version = values["format"], values["format_version"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelFileError(f"the header of {path} is damaged ({error!r}). Copy the file again.") from error
    if version != (FORMAT, FORMAT_VERSION):
        raise ModelFileError(
            f"{path} has format {version[0]!r} version {version[1]}; this convrfm reads {FORMAT!r} version {FORMAT_VERSION}. "
            f"It was written by convrfm {values.get('library_version')}: use that one, or fit again."
        )
    if values.pop("digest", None) != digest(values, tensors):
        raise ModelFileError(
            f"{path} is damaged: it holds other numbers than were saved. Save the model again, or copy the file again."
        )
    try:
        return ModelHeader.model_validate(values)
    except ValidationError as error:
        raise ModelFileError(f"the header of {path} is damaged: {error}") from error
