"""Reports on disk: JSON for the numbers, safetensors for W and G; no pickle, and no half-written file."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..errors import ModelFileError
from ..storage import atomic
from ..storage.digests import digest
from ..storage.tensors import write_tensors
from .estimates import Comparison, Estimate
from .layer_report import Correlations, LayerReport

NUMBERS = "report.json"
TENSORS = "layers.safetensors"
TENSOR_FIELDS = ("filters", "covariance", "initial_filters", "initial_covariance", "probes", "initial_probes")


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, text)


def save_folder(folder: Path, data: dict[str, Any], layers: Iterable[LayerReport]) -> None:
    """Write the numbers, by which the folder is known, then the tensors that their digest is of too."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {}
    for layer in layers:
        for name in TENSOR_FIELDS:
            if (tensor := getattr(layer, name)) is not None:
                tensors[f"{layer.name}/{name}"] = tensor.detach().cpu()
    write_text(folder / NUMBERS, json.dumps(data | {"digest": digest(data, tensors)}, indent=1) + "\n")
    write_tensors(folder / TENSORS, tensors)


def load_folder(folder: Path, file_format: int) -> tuple[dict[str, Any], tuple[LayerReport, ...]]:
    """The numbers and the layers of a saved report.

    Raises:
        ModelFileError: If the files are missing, damaged in any bit, foreign or of another format.
    """
    try:
        data = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        tensors = load_file(folder / TENSORS)
    except (OSError, ValueError, RecursionError, MemoryError, SafetensorError) as error:
        raise ModelFileError(f"{folder} does not hold a saved report ({NUMBERS} and {TENSORS}): {error}") from error
    found = data.get("format") if isinstance(data, dict) else None
    if found != file_format:
        raise ModelFileError(f"{folder / NUMBERS} has format {found}; this version reads format {file_format}.")
    if data.pop("digest", None) != digest(data, tensors):
        raise ModelFileError(
            f"{folder} is damaged: it holds other numbers than were saved. Copy it again, or measure again with --overwrite."
        )
    try:
        return data, tuple(_layer(entry, tensors) for entry in data["layers"])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"{folder} is damaged: its parts do not fit together ({error!r}).") from error


def _layer(entry: dict[str, Any], tensors: dict[str, Tensor]) -> LayerReport:
    name = entry["name"]
    comparisons = {key: value and _comparison(value) for key, value in entry["correlations"].items()}
    return LayerReport(
        name=name,
        kind=entry["kind"],
        groups=entry["groups"],
        patch_shape=tuple(entry["patch_shape"]),
        filters=tensors[f"{name}/filters"],
        covariance=tensors[f"{name}/covariance"],
        initial_filters=tensors.get(f"{name}/initial_filters"),
        initial_covariance=tensors.get(f"{name}/initial_covariance"),
        uses=entry["uses"],
        final=entry["final"],
        effective_ranks={of: math.nan if rank is None else rank for of, rank in entry["effective_ranks"].items()},
        correlations=Correlations(**comparisons),
        probes=tensors.get(f"{name}/probes"),
        initial_probes=tensors.get(f"{name}/initial_probes"),
    )


def _comparison(entry: dict[str, Any]) -> Comparison:
    return Comparison(**{measure: value and _estimate(value) for measure, value in entry.items()})


def _estimate(entry: dict[str, Any]) -> Estimate:
    value = math.nan if entry["value"] is None else entry["value"]
    low, high = (math.nan if end is None else end for end in entry["interval"] or (None, None))
    interval = None if entry["interval"] is None else (low, high)
    return Estimate(value, entry["bias"], entry["standard_error"], interval)
