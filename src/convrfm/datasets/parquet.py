"""Image data sets in parquet files, as Hugging Face stores them."""

import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..kernels.devices import free_memory
from ..optional import imported
from ..quantities import counted
from .folders import size_notes
from .image_arrays import check_labels
from .memory import Growing, check_fits
from .pictures import Picture, decode, resize
from .sources import Pictures, Reading, Source
from .splits import NAMES, Role
from .walking import first_few, left_out, not_read

IMAGES, LABELS = ("image", "img", "x"), ("label", "labels", "fine_label", "class", "y")
CELLS_AT_ONCE = 32
DAMAGE = (OSError, ValueError, NotImplementedError)


def read_parquet(path: Path, reading: Reading) -> Source:
    """Read a `.parquet` file with a column of pictures and one of labels.

    Raises:
        MissingDependencyError: If pyarrow is not installed.
        InputError: If the file is damaged, or has no such columns.
    """
    return Source(_read([path], reading))


def read_parquet_folder(folder: Path, files: Sequence[Path], notes: Sequence[str], reading: Reading) -> Source:
    """Read these files of a folder, in parts where their names below it name parts: `default/train-00000-of-00001`.

    Raises:
        MissingDependencyError: If pyarrow is not installed.
        InputError: If a file is damaged, or has no columns of pictures and labels, it is not clear of which part it is, or
            those of one part lie in several folders.
    """
    parts: dict[Role | None, list[Path]] = defaultdict(list)
    for file in files:
        parts[_role(file, folder)].append(file)
    for role, of_role in parts.items():
        if len(places := sorted({file.parent for file in of_role})) > 1:
            raise InputError(
                f"{folder} must hold one data set; got parquet files {f'for {role} ' if role else ''}in several folders: "
                f"{first_few(places, folder)}. Pass the one that is meant, or move together what belongs together."
            )
    if None in parts and len(parts) > 1:
        raise InputError(
            f"the names of all parquet files in {folder} must tell of which part they are, or none; got "
            f"{parts[None][0].relative_to(folder)} among {', '.join(sorted(filter(None, parts)))}. Rename it, or move it away."
        )
    if not parts.keys() & {None, "train"}:
        named = ", ".join(sorted(filter(None, parts)))
        raise InputError(f"{folder} must hold a training part, such as train.parquet; got {named}.")
    read = {role: _read(of_role, reading) for role, of_role in parts.items()}
    train = read["train" if "train" in read else None]
    return Source(train, read.get("test"), read.get("validation"), tuple(notes))


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
    unread: dict[str, None] = {}
    shapes: list[tuple[int, ...]] = []  # as they come
    n_rows = 0
    for file in files:
        cells, values, others = _read_columns(file)
        unread |= dict.fromkeys(others)
        skipped, of_several = list[Path](), list[Path]()
        growing = Growing(f"the pictures of {file}")
        for row, (cell, value) in enumerate(zip(cells, values, strict=True)):
            try:
                picture, frames = _picture(file, row, cell)
            except InputError:
                if reading.unreadable == "error":
                    raise
                skipped.append(Path(f"row {row}"))
                continue
            shapes.append(picture.shape)
            if reading.image_size is not None:
                picture = resize(picture, reading.image_size)
            growing.check(picture, len(values) - row)
            pictures.append(picture)
            labels.append(value)
            names.append(str(n_rows + row))
            if frames > 1:
                of_several.append(Path(f"row {row}"))
        n_rows += len(values)
        notes += left_out("unreadable", file, skipped)
        notes += left_out("all frames or pages but the first", file, of_several)
    if not pictures:
        raise InputError(f"{files[0]} must hold readable pictures; got {counted(n_rows, 'damaged one')}. Repair them.")
    whole = f"{files[0]}{f' and {len(files) - 1} more' if len(files) > 1 else ''}"
    notes += [*not_read(whole, [*unread]), *size_notes(whole, shapes, reading.image_size)]
    return Pictures(pictures, check_labels(labels, len(pictures)), tuple(names), white=255.0, notes=tuple(notes))


def _read_columns(file: Path) -> tuple[Iterator[Any], Sequence[Any], Sequence[str]]:
    """Pictures, labels, and what the other columns are called."""
    pq = imported("pyarrow.parquet", "parquet")
    try:
        table = pq.ParquetFile(file)
        image, label = (_column(file, table.schema_arrow.names, known) for known in (IMAGES, LABELS))
        n_cells = _cells_at_once(file, table.metadata, (image, label))
        values = table.read(columns=[label])[label].to_pylist()
    except InputError:
        raise
    except DAMAGE as error:
        raise _unreadable(file, error) from error
    others = [name for name in table.schema_arrow.names if name not in (image, label)]
    return _cells(file, table, image, n_cells), _labels(file, table.schema_arrow, label, values), others


def _cells(file: Path, table: Any, image: str, at_once: int) -> Iterator[Any]:
    try:
        for batch in table.iter_batches(at_once, columns=[image]):
            yield from (cell.as_py() for cell in batch[image])
    except DAMAGE as error:
        raise _unreadable(file, error) from error


def _cells_at_once(file: Path, metadata: Any, names: Sequence[str]) -> int:
    """How many cells are read together, so that they fit into memory however large they are.

    A few bytes in a file may stand for many: compressed ones, and the number of a value that is there once for all rows. But
    no cell is larger than its group of rows without compression, which the file tells at its end.

    Raises:
        InputError: If not even one fits, or they are lists, of which nothing tells how long they are.
    """
    leaves = [metadata.schema.column(i) for i in range(metadata.num_columns)]
    read = [i for i, leaf in enumerate(leaves) if leaf.path.split(".")[0] in names]
    if lists := [leaves[i].path for i in read if leaves[i].max_repetition_level]:
        raise InputError(
            f"{file} must have one picture, as the bytes of its file, and one label in each row; got lists in {lists[0]}. Save "
            "the data set again with its images."
        )
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    largest = max((sum(group.column(i).total_uncompressed_size for i in read) for group in groups), default=0)
    remedy = "Write it again with smaller groups (row_group_size)."
    check_fits(f"the pictures of each group of rows in {file}", largest, remedy)
    return max(1, min(CELLS_AT_ONCE, free_memory() // max(1, largest)))


def _unreadable(file: Path, error: Exception) -> InputError:
    return InputError(f"{file} cannot be read as parquet: {error}. Copy the file again.")


def _column(file: Path, names: Sequence[str], known: Sequence[str]) -> str:
    found = [name for name in names if name in known]
    if len(found) != 1:
        raise InputError(
            f"{file} must have one column called {known[0]} (or {', '.join(known[1:])}); got {', '.join(names)}. Rename it."
        )
    return found[0]


def _picture(file: Path, row: int, cell: Any) -> tuple[Picture, int]:
    """The picture of a cell, and the number of its frames or pages."""
    try:
        return decode(io.BytesIO(cell["bytes"] if isinstance(cell, dict) else cell))
    except Exception as error:  # from damaged bytes Pillow's decoders raise almost anything
        raise InputError(
            f"row {row} of {file} holds no picture: {error}. Save the data set again with its images."
        ) from error


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
