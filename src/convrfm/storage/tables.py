"""Tables of results as CSV files."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .atomic import written_whole

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table in UTF-8, whole or not at all.

    Names of files and classes are texts and nothing else: where one begins like a formula, an apostrophe before it keeps
    spreadsheets from computing it. Bytes of file names that are not UTF-8 are spelled out.

    Raises:
        InputError: as `written_whole`.
    """
    with (
        written_whole(path) as partial,
        partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        table = csv.writer(file)
        table.writerow(map(_harmless, header))
        table.writerows(map(_harmless, row) for row in rows)


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) and not _is_number(cell) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
