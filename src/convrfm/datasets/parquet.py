"""Image data sets in parquet files, as Hugging Face stores them."""

import io
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..optional import imported
from .image_arrays import check_labels
from .memory import check_memory
from .pictures import Picture, decode, resize
from .sources import Pictures, Reading, Source, positions
from .splits import NAMES, Role

IMAGES, LABELS = ("image", "img", "x"), ("label", "labels", "fine_label", "class", "y")


def read_parquet(path: Path, reading: Reading) -> Source:
    """Read a `.parquet` file with a column of pictures and one of labels.

    Raises:
        MissingDependencyError: If pyarrow is not installed.
        InputError: If the file is damaged, or has no such columns.
    """
    return Source(_read([path], reading))


def read_parquet_folder(folder: Path, files: Sequence[Path], reading: Reading) -> Source:
    """Read the parquet files of a folder, in parts where their names begin with those of parts: `train-00000-of-00001`.

    Raises:
        MissingDependencyError: If pyarrow is not installed.
        InputError: If a file is damaged, or has no columns of pictures and labels.
    """
    parts: dict[Role, list[Path]] = defaultdict(list)
    for file in files:
        parts[NAMES.get(file.name.partition("-")[0].partition(".")[0].casefold(), "train")].append(file)
    if "train" not in parts:
        raise InputError(f"{folder} must hold a training part, such as train.parquet; got {', '.join(sorted(parts))}.")
    read = {role: _read(of_role, reading) for role, of_role in parts.items()}
    return Source(read["train"], read.get("test"), read.get("validation"))


def _read(files: Sequence[Path], reading: Reading) -> Pictures:
    pq = imported("pyarrow.parquet", "parquet")
    pictures: list[Picture] = []
    labels: list[Any] = []
    for file in files:
        try:
            schema = pq.read_schema(file)
            image, label = (_column(file, schema.names, known) for known in (IMAGES, LABELS))
            table = pq.read_table(file, columns=[image, label])
        except InputError:
            raise
        except (OSError, ValueError, NotImplementedError) as error:
            raise InputError(f"{file} cannot be read as parquet: {error}. Copy the file again.") from error
        for row, cell in enumerate(table[image]):
            pictures.append(_picture(file, row, cell.as_py(), reading))
            if row == 0:
                check_memory(f"the pictures of {file}", len(table), pictures[-1].shape, pictures[-1].itemsize)
        labels += _labels(schema, label, table[label].to_pylist())
    return Pictures(pictures, check_labels(labels, len(pictures)), positions(len(pictures)), white=255.0)


def _column(file: Path, names: Sequence[str], known: Sequence[str]) -> str:
    found = [name for name in names if name in known]
    if len(found) != 1:
        raise InputError(
            f"{file} must have one column called {known[0]} (or {', '.join(known[1:])}); got {', '.join(names)}. Rename it."
        )
    return found[0]


def _picture(file: Path, row: int, cell: Any, reading: Reading) -> Picture:
    try:
        picture, _ = decode(io.BytesIO(cell["bytes"] if isinstance(cell, dict) else cell))
    except Exception as error:  # from damaged bytes Pillow's decoders raise almost anything
        raise InputError(
            f"row {row} of {file} holds no picture: {error}. Save the data set again with its images."
        ) from error
    return picture if reading.image_size is None else resize(picture, reading.image_size)


def _labels(schema: Any, column: str, values: Sequence[Any]) -> Sequence[Any]:
    """Names of classes where the file has them, otherwise the values."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        names = features[column]["names"]
    except (TypeError, KeyError, ValueError):
        return values
    return [names[value] for value in values]
