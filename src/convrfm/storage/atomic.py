"""Files appear whole or not at all."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from safetensors import SafetensorError

from ..errors import InputError

UNFINISHED = ".writing-"
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]")  # a drive has a single letter


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path to write to; on leaving it takes the place of `path` in one step, on an exception it vanishes.

    Raises:
        InputError: if `path` cannot be written: it is a folder, its own folder does not exist or refuses, the disk is full.
    """
    partial = _beside(path)
    try:
        yield partial
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot write {path}: {error}. Make room, or choose another name or folder.") from error
    finally:
        partial.unlink(missing_ok=True)


def check_no_address(path: Path) -> None:
    """Raise `InputError` for an address, s3://bucket/name for one, of which a path makes a folder s3: on this machine."""
    if ADDRESS.match(str(path)):
        raise InputError(
            f"cannot write {path}: it is an address, and a folder of this machine, or one that it mounts, is needed. "
            "Kernel matrices (convrfm kernel --out) may lie at addresses."
        )


def check_writable(path: Path) -> None:
    """Raise `InputError` unless a file can be written there; it is not touched."""
    _beside(path).unlink()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8, whole or not at all; what of a file's name is not UTF-8 is spelled out.

    Raises:
        InputError: as `written_whole`.
    """
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Write plain values as JSON, whole or not at all; what JSON does not know is written as its `str`.

    Raises:
        InputError: as `written_whole`.
    """
    write_text(path, as_json(value))


def as_json(value: Any) -> str:
    """Plain values as the text of a JSON file."""
    return json.dumps(value, indent=2, default=str) + "\n"


def _beside(path: Path) -> Path:
    """A new and empty file in the folder of `path`."""
    check_no_address(path)
    try:
        if path.is_dir():
            raise InputError(f"cannot write {path}: it is a folder. Give the name of a file in it.")
        if not path.parent.is_dir():
            raise InputError(f"cannot write {path}: the folder {path.parent} does not exist. Create it first.")
        partial = path.parent / f"{UNFINISHED}{uuid4().hex}"
        partial.touch(exist_ok=False)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}. Choose another name or folder.") from error
    return partial
