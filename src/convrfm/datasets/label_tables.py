"""Pictures whose labels are in a table: a CSV file with a column of file names and one of labels."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from .folders import picture_files, read_files
from .sources import Pictures, Reading
from .walking import left_out, printable

LABEL_NAMES = ("label", "labels", "class", "class_name", "category", "target", "y", "species", "breed", "diagnosis")
YES, NO = ("1", "1.0", "true"), ("0", "0.0", "false")

Table = Sequence[Sequence[str]]


def read_labeled_folder(folder: Path, table: Path, reading: Reading) -> Pictures:
    """Read the pictures of a folder that a table names, with their labels.

    The column of file names is the one that holds most of them: paths below the folder, or names with or without suffix.
    The column of labels is the only other one, or the one called `label`, `class` or the like.

    Raises:
        InputError: If the table cannot be read, its columns are not clear, it contradicts itself, or a picture is unreadable
            and `unreadable` is "error".
    """
    files, notes = picture_files(folder)
    rows = _read_rows(table)
    keys = _keys(folder, files)
    names = max(range(len(rows[0])), key=lambda column: sum(_key(row[column]) in keys for row in rows))
    if not any(_key(row[names]) in keys for row in rows):
        raise InputError(
            f"{table} must name pictures of {folder}, such as {printable(files[0], folder)}; it names none of them."
        )
    header = rows[0] if _key(rows[0][names]) not in keys else None
    column = _label_column(table, header, rows[header is not None :], names)
    labels: dict[Path, str] = {}
    missing, blank = [], []
    for row in rows[header is not None :]:
        file, label = keys.get(_key(row[names])), row[column].strip()
        if file is None:
            missing.append(folder / row[names])
        elif not label:
            blank.append(file)
        elif labels.setdefault(file, label) != label:
            raise InputError(
                f"{table} must give each picture one label; {printable(file, folder)} has {labels[file]} and {label}."
            )
    notes += left_out(f"rows of {table} without a picture", folder, missing)
    notes += left_out(f"without a label in {table}", folder, [file for file in files if file not in labels])
    pictures = read_files(folder, sorted(labels), notes, reading)
    by_name = {printable(file, folder): label for file, label in labels.items()}
    return replace(pictures, labels=_as_numbers([by_name[name] for name in pictures.names]))


def _read_rows(table: Path) -> Table:
    if not table.is_file():
        raise InputError(f"labels must be a table of file names and labels; there is no file {table}.")
    try:
        lines = table.read_text(encoding="utf-8-sig").splitlines()
        delimiter = max(",;\t", key=lines[0].count) if lines else ","
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{table} must be a table in UTF-8 with columns for file names and labels; got: {error}."
        ) from error
    widths = Counter(map(len, rows))
    if not rows or len(widths) > 1 or len(rows[0]) < 2:
        raise InputError(
            f"{table} must have columns for file names and labels, the same in every row; got {sorted(widths) or 'no'} columns."
        )
    return rows


def _keys(folder: Path, files: Sequence[Path]) -> Mapping[str, Path]:
    """Pictures by path below the folder, and by name and name without suffix where only one is called so."""
    keys: dict[str, Path] = {}
    for short in (lambda file: file.stem, lambda file: file.name):
        counts = Counter(map(short, files))
        keys |= {short(file): file for file in files if counts[short(file)] == 1}
    return keys | {printable(file, folder): file for file in files}


def _key(cell: str) -> str:
    return cell.strip().replace("\\", "/").removeprefix("./")


def _label_column(table: Path, header: Sequence[str] | None, rows: Table, names: int) -> int:
    others = [column for column in range(len(rows[0])) if column != names]
    called = [column for column in others if header and header[column].strip().casefold() in LABEL_NAMES]
    chosen = called or others
    if len(chosen) > 1:
        told = ", ".join(header[column] for column in others) if header else f"{len(others)} without names"
        remedy = "Call the one that is meant 'label'."
        if header and all(_is_one_hot([row[column] for column in others]) for row in rows):
            remedy = (
                "In every row one of them is 1 and the others are 0; this writes their names into one column: "
                f'pandas.read_csv("{table.as_posix()}", index_col="{header[names]}", dtype={{"{header[names]}": str}})'
                '.idxmax(axis=1).rename("label").to_csv("classes.csv").'
            )
        raise InputError(f"{table} must have one column of labels beside the file names; got {told}. {remedy}")
    return chosen[0]


def _is_one_hot(cells: Sequence[str]) -> bool:
    said = [cell.strip().casefold() for cell in cells]
    return sum(cell in YES for cell in said) == 1 and sum(cell in NO for cell in said) == len(said) - 1


def _without_fractions(labels: Sequence[str]) -> Sequence[str]:
    """The labels, unless they are numbers of which some are no integers: measurements, not classes."""
    try:
        fractions = [label for label in labels if not float(label).is_integer()]
    except ValueError:
        return labels
    if fractions:
        raise InputError(
            f"labels must be classes, names or integers; got numbers such as {fractions[0]}. Measured values are learned in "
            "Python, by ConvRFMRegressor; for classes give each range of values a name."
        )
    return labels


def _as_numbers(labels: Sequence[str]) -> np.ndarray:
    """Integers where all labels are written as such, otherwise the texts."""
    try:
        numbers = [int(label) for label in labels]
    except ValueError:
        return np.array(_without_fractions(labels))
    return np.array(numbers if list(map(str, numbers)) == list(labels) else labels)
