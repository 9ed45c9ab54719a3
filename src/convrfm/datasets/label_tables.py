"""Pictures whose labels are in a table: a CSV file with a column of file names and one of labels."""

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from .folders import picture_files, read_files
from .pictures import SUFFIXES
from .sources import Pictures, Reading, Source
from .splits import NAMES, Role, find_parts
from .walking import composed, left_out, not_read, printable

LABEL_NAMES = ("label", "labels", "class", "class_name", "category", "target", "y", "species", "breed", "diagnosis")
PART_NAMES = ("split", "set", "subset", "part", "partition", "phase", "usage")
WORDS_SHOWN = 5
YES, NO = ("1", "1.0", "true"), ("0", "0.0", "false")

Table = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Columns:
    """Which column of a table holds what.

    Attributes:
        names: names of files.
        labels: labels.
        parts: of which part a picture is: train, validation or test; None where no column says it.
        unread: what the other columns are called.
    """

    names: int
    labels: int
    parts: int | None
    unread: Sequence[str]


def read_labeled_folder(folder: Path, table: Path, reading: Reading) -> Source:
    """Read the pictures of a folder that a table names, with their labels.

    The column of file names is the one that holds most of them: paths below the folder, or names with or without suffix.
    The column of labels is the only other one, or the one called `label`, or else `class` or the like. Parts for training,
    validation and testing are those that another column names, or the folders of such names.

    Raises:
        InputError: If the table cannot be read, its columns are not clear, it contradicts itself, or a picture is unreadable
            and `unreadable` is "error".
    """
    files, notes = picture_files(folder)
    rows, delimiter = _read_rows(table)
    keys = _keys(folder, files)
    names = _name_column(table, rows, keys)
    if not any(_key(row[names]) in keys for row in rows):
        raise InputError(
            f"{table} must name pictures of {folder}, such as {printable(files[0], folder)}; it names none of them."
        )
    header = rows[0] if _has_header(rows, names, keys) else None
    body = rows[header is not None :]
    columns = _columns(table, header, body, names, delimiter)
    labels, parts = dict[Path, str](), dict[Path, Role | None]()
    missing, blank = [], []
    in_folders = find_parts(folder) if columns.parts is None else {}
    for row in body:
        named, label = keys.get(_key(row[names]), ()), composed(row[columns.labels].strip())
        if len(named) > 1:
            raise InputError(
                f"{table} must tell pictures apart; {row[names]} is {' and '.join(printable(f, folder) for f in named[:2])}. "
                f"Give their paths below {folder}, or pass the folder of those that are meant."
            )
        file = next(iter(named), None)
        if file is None:
            missing.append(folder / row[names])
        elif not label:
            blank.append(file)
        elif labels.setdefault(file, label) != label:
            raise InputError(
                f"{table} must give each picture one label; {printable(file, folder)} has {labels[file]} and {label}."
            )
        else:
            part = next((role for role, path in in_folders.items() if file.is_relative_to(path)), None)
            part = part if columns.parts is None else NAMES.get(row[columns.parts].strip().casefold())
            if parts.setdefault(file, part) != part:
                raise InputError(f"{table} must give each picture one part; {printable(file, folder)} has two.")
    notes += left_out(f"rows of {table} without a picture", folder, missing)
    notes += left_out(f"without a label in {table}", folder, [file for file in files if file not in labels])
    notes += not_read(table, columns.unread)
    notes += _no_parts_notes(table, header or (), body, columns)
    if len(set(parts.values())) > 1:
        of_none = sorted(file for file in labels if parts[file] is None)
        notes += left_out("of no part for training, validation or testing", folder, of_none)
        labels = {file: label for file, label in labels.items() if parts[file] is not None}
    pictures = read_files(folder, sorted(labels), notes, reading)
    by_name = {printable(file, folder): file for file in labels}
    in_order = [by_name[name] for name in pictures.names]
    pictures = replace(pictures, labels=_as_numbers([labels[file] for file in in_order]))
    return _in_parts(pictures, [parts[file] for file in in_order], table)


def _in_parts(pictures: Pictures, parts: Sequence[Role | None], table: Path) -> Source:
    """One part where all are of one, or of none."""
    of_role = {role: np.flatnonzero([part == role for part in parts]) for role in set(parts)}
    if len(of_role) == 1:
        return Source(pictures)
    if "train" not in of_role:
        raise InputError(
            f"{table} must label training pictures; got those of {' and '.join(sorted(map(str, of_role)))}."
        )
    of_part = {role: replace(pictures.take(found), notes=()) for role, found in of_role.items()}
    return Source(of_part["train"], of_part.get("test"), of_part.get("validation"), pictures.notes)


def _read_rows(table: Path) -> tuple[Table, str]:
    """The rows, and what is between their cells."""
    if not table.is_file():
        raise InputError(f"labels must be a table of file names and labels; there is no file {table}.")
    try:
        lines = table.read_text(encoding="utf-8-sig").splitlines()
        delimiter = max(",;\t", key=lines[0].count) if lines else ","
        rows = [row for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if row]
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{table} must be a table in UTF-8; got a byte {error.object[error.start]:#04x} in line {line}, which is no letter "
            "there. Save it as CSV UTF-8, as Excel calls it."
        ) from error
    except csv.Error as error:
        raise InputError(
            f"{table} must be a table with columns for file names and labels; got: {error}. Save it as CSV UTF-8."
        ) from error
    except OSError as error:
        raise InputError(f"cannot read {table}: {error}. Look at its rights.") from error
    widths = Counter(map(len, rows))
    if not rows or len(widths) > 1 or len(rows[0]) < 2:
        raise InputError(
            f"{table} must have columns for file names and labels, the same in every row; got {sorted(widths) or 'no'} columns."
        )
    return rows, delimiter


def _keys(folder: Path, files: Sequence[Path]) -> Mapping[str, Sequence[Path]]:
    """Pictures by path below the folder, and by name and name without suffix: all that are called so."""
    names, paths = (defaultdict[str, list[Path]](list) for _ in range(2))
    for file in files:
        paths[_key(printable(file, folder))].append(file)
        for name in {file.name, file.stem}:
            names[_key(name)].append(file)
    return names | paths


def _name_column(table: Path, rows: Table, keys: Mapping[str, Sequence[Path]]) -> int:
    """The column that names most pictures, whole names counted twice: numbers of rows may be names without suffix, too."""

    def rank(column: int) -> tuple[int, bool]:
        named = {key for key in (_key(row[column]) for row in rows) if key in keys}
        return len(named) + sum(Path(key).suffix.lower() in SUFFIXES for key in named), bool(rows[0][column].strip())

    first, second = sorted(range(len(rows[0])), key=rank, reverse=True)[:2]
    if rank(first)[0] and rank(first) == rank(second):
        raise InputError(
            f"{table} must have one column of file names; {rows[0][first]} and {rows[0][second]} name as many pictures. Leave "
            "one of them out, or give names with their suffix."
        )
    return first


def _has_header(rows: Table, names: int, keys: Mapping[str, Sequence[Path]]) -> bool:
    """Whether the first row is one of names of columns, though a picture may be called `image`, as its column is."""
    first, *others = ([cell.strip().casefold() for cell in row] for row in rows)
    if Path(first[names]).suffix in SUFFIXES:
        return False
    titles = [column for column, cell in enumerate(first) if column != names and cell in LABEL_NAMES]
    once = any(all(row[column] != first[column] for row in others) for column in titles)
    return once or _key(rows[0][names]) not in keys


def _key(cell: str) -> str:
    return composed(cell.strip().replace("\\", "/").removeprefix("./"))


def _columns(table: Path, header: Sequence[str] | None, rows: Table, names: int, delimiter: str) -> Columns:
    others = [column for column in range(len(rows[0])) if column != names]
    heads = [cell.strip().casefold() for cell in header or ()]
    called = [column for column in others if header and heads[column] in LABEL_NAMES]
    may_be_parts = [column for column in others if column not in called]
    parts = next((column for column in may_be_parts if _are_parts([row[column] for row in rows])), None)
    if parts is not None:
        others.remove(parts)
        said = (header and header[parts]) or "a column without a name"
        if not others:
            raise InputError(
                f"{table} must have one column of labels beside the file names; got {said}, which names parts for training "
                "and testing. Add a column of labels; if these are classes, call theirs 'label'."
            )
        if foreign := sorted({row[parts].strip() for row in rows if row[parts].strip().casefold() not in {*NAMES, ""}}):
            raise InputError(
                f"{table} must name parts by train, validation and test; got {', '.join(foreign[:5])} in {said}. Leave "
                "their cells empty to leave these pictures out."
            )
    chosen = [column for column in called if heads[column] == "label"] or called or others
    if len(chosen) > 1:
        told = ", ".join(header[column] for column in others) if header else f"{len(others)} without names"
        remedy = "Call the one that is meant 'label'."
        if header and all(_is_one_hot([row[column] for column in others]) for row in rows):
            index = header[names] or f"Unnamed: {names}"  # as pandas calls it
            separator = "" if delimiter == "," else f"sep={delimiter!r}, "
            remedy = (
                "In every row one of them is 1 and the others are 0; this writes their names into one column: "
                f'pandas.read_csv("{table.as_posix()}", {separator}index_col="{index}", dtype={{"{index}": str}})'
                '.idxmax(axis=1).rename("label").to_csv("classes.csv").'
            )
        raise InputError(f"{table} must have one column of labels beside the file names; got {told}. {remedy}")
    unread = [header[column] or "a column without a name" for column in others if header and column != chosen[0]]
    return Columns(names, chosen[0], parts, unread)


def _are_parts(cells: Sequence[str]) -> bool:
    """Whether most cells that are not empty name parts of a data set, one of them for training."""
    said = [word for cell in cells if (word := cell.strip().casefold())]
    roles = [NAMES[word] for word in said if word in NAMES]
    return 2 * len(roles) > len(said) and "train" in roles and len(set(roles)) > 1


def _no_parts_notes(table: Path, header: Sequence[str], rows: Table, columns: Columns) -> list[str]:
    """Why a column that may be meant to name parts of the data set was not taken so."""
    if columns.parts is not None:
        return []
    notes = []
    for column, head in enumerate(header):
        cells = [row[column].strip() for row in rows]
        words, naming = sorted(set(cells)), sum(cell.casefold() in NAMES for cell in cells)
        meant = head.strip().casefold() in PART_NAMES or 2 * naming > len(cells)
        if column not in (columns.names, columns.labels) and meant:
            more = ", ..." * (len(words) > WORDS_SHOWN)
            notes.append(
                f"{head or 'A column without a name'} of {table} was not taken for the parts of the data set: most of its "
                f"cells must be one of {', '.join(NAMES)}, some of training and some of another part; got "
                f"{', '.join(words[:WORDS_SHOWN])}{more}."
            )
    return notes


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
