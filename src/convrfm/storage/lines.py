"""Plain values as the lines of a file, each with a digest: a line says what was written, or it is named."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from .digests import values_with_digest, with_digest


def as_line(values: Mapping[str, Any]) -> str:
    """A line of JSON with its end; raises `ValueError` where a number is not finite."""
    return json.dumps(with_digest(values), allow_nan=False) + "\n"


def lines_from(text: bytes, file: Path, remedy: str) -> list[dict[str, Any]]:
    """What `as_line` was given, line by line.

    Args:
        text: all lines.
        file: where they stand, for messages.
        remedy: what to do about a line that is damaged.

    Raises:
        InputError: if one is damaged; it is named.
    """
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            lines.append(values_with_digest(line.decode()))
        except ValueError as error:
            raise InputError(f"Line {number} of {file} is damaged ({error}). {remedy}") from error
    return lines
