"""Tables of results as CSV files."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .atomic import written_whole

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table as `table_bytes` has it, whole or not at all.

    Raises:
        InputError: as `written_whole`.
    """
    with written_whole(path) as partial:
        partial.write_bytes(table_bytes(header, rows))


def table_bytes(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A table in UTF-8.

    Names of files and classes are texts and nothing else: where one begins like a formula, an apostrophe before it keeps
    spreadsheets from computing it. Bytes of file names that are not UTF-8 are spelled out.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(map(_harmless, header))
    table.writerows(map(_harmless, row) for row in rows)
    return text.getvalue().encode(errors="backslashreplace")


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) and not _is_number(cell) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
