"""Image data sets in parquet files, as Hugging Face stores them."""

import io
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..optional import imported
from ..quantities import counted
from .image_arrays import check_labels
from .memory import check_memory
from .pictures import Picture, decode, resize
from .sources import Pictures, Reading, Source
from .splits import NAMES, Role
from .walking import left_out

IMAGES, LABELS = ("image", "img", "x"), ("label", "labels", "fine_label", "class", "y")


def read_parquet(path: Path, reading: Reading) -> Source:
    """Read a `.parquet` file with a column of pictures and one of labels.

    Raises:
        MissingDependencyError: If pyarrow is not installed.
        InputError: If the file is damaged, or has no such columns.
    """
    return Source(_read([path], reading))


def read_parquet_folder(folder: Path, files: Sequence[Path], reading: Reading) -> Source:
    """Read the parquet files of a folder, in parts where their names below it name parts: `default/train-00000-of-00001`.

    Raises:
        MissingDependencyError: If pyarrow is not installed.
        InputError: If a file is damaged, or has no columns of pictures and labels, or it is not clear of which part it is.
    """
    parts: dict[Role | None, list[Path]] = defaultdict(list)
    for file in files:
        parts[_role(file, folder)].append(file)
    if None in parts and len(parts) > 1:
        raise InputError(
            f"the names of all parquet files in {folder} must tell of which part they are, or none; got "
            f"{parts[None][0].relative_to(folder)} among {', '.join(sorted(filter(None, parts)))}. Rename it, or move it away."
        )
    if not parts.keys() & {None, "train"}:
        named = ", ".join(sorted(filter(None, parts)))
        raise InputError(f"{folder} must hold a training part, such as train.parquet; got {named}.")
    read = {role: _read(of_role, reading) for role, of_role in parts.items()}
    return Source(read["train" if "train" in read else None], read.get("test"), read.get("validation"))


def _role(file: Path, folder: Path) -> Role | None:
    """The part that the words of a path below a folder name, None where they name none."""
    path = file.relative_to(folder)
    roles = {NAMES[word] for word in re.split(r"[\W_]+", path.as_posix().casefold()) if word in NAMES}
    if len(roles) > 1:
        raise InputError(
            f"{folder / path} must be of one part; its path names {' and '.join(sorted(roles))}. Rename it."
        )
    return roles.pop() if roles else None


def _read(files: Sequence[Path], reading: Reading) -> Pictures:
    pictures, names, notes = list[Picture](), list[str](), list[str]()
    labels: list[Any] = []
    n_rows = 0
    for file in files:
        cells, values = _cells_and_labels(file)
        skipped = list[Path]()
        for row, (cell, value) in enumerate(zip(cells, values, strict=True)):
            try:
                picture = _picture(file, row, cell.as_py(), reading)
            except InputError:
                if reading.unreadable == "error":
                    raise
                skipped.append(Path(f"row {row}"))
                continue
            if row == len(skipped):
                check_memory(f"the pictures of {file}", len(values), picture.shape, picture.itemsize)
            pictures.append(picture)
            labels.append(value)
            names.append(str(n_rows + row))
        n_rows += len(values)
        notes += left_out("unreadable", file, skipped)
    if not pictures:
        raise InputError(f"{files[0]} must hold readable pictures; got {counted(n_rows, 'damaged one')}. Repair them.")
    return Pictures(pictures, check_labels(labels, len(pictures)), tuple(names), white=255.0, notes=tuple(notes))


def _cells_and_labels(file: Path) -> tuple[Any, Sequence[Any]]:
    pq = imported("pyarrow.parquet", "parquet")
    try:
        schema = pq.read_schema(file)
        image, label = (_column(file, schema.names, known) for known in (IMAGES, LABELS))
        table = pq.read_table(file, columns=[image, label])
    except InputError:
        raise
    except (OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{file} cannot be read as parquet: {error}. Copy the file again.") from error
    return table[image], _labels(file, schema, label, table[label].to_pylist())


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


def _labels(file: Path, schema: Any, column: str, values: Sequence[Any]) -> Sequence[Any]:
    """Names of classes where the file has them, otherwise the values.

    Raises:
        InputError: If a value is the number of none of these classes, such as -1 where a label is withheld.
    """
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        names = features[column]["names"]
    except (TypeError, KeyError, ValueError):
        return values
    for row, value in enumerate(values):
        if value not in range(len(names)):
            raise InputError(
                f"the label in row {row} of {file} must be the number of a class, from 0 to {len(names) - 1}; got {value}. "
                "Move the file away where it has no labels, or write it again without such rows."
            )
    return [names[value] for value in values]
