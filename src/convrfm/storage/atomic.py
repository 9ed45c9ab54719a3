"""Files appear whole or not at all."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import InputError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path to write to; on leaving it takes the place of `path` in one step, on an exception it vanishes.

    Raises:
        InputError: if `path` cannot be written: it is a folder, or its own folder does not exist or refuses.
    """
    try:
        if path.is_dir():
            raise InputError(f"cannot write {path}: it is a folder. Give the name of a file in it.")
        if not path.parent.is_dir():
            raise InputError(f"cannot write {path}: the folder {path.parent} does not exist. Create it first.")
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}. Choose another name or folder.") from error
    os.close(handle)
    partial = Path(name)
    umask = os.umask(0)
    os.umask(umask)
    try:
        yield partial
        partial.chmod(0o666 & ~umask)
        try:
            partial.replace(path)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error}. Choose another name.") from error
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write plain values as JSON, whole or not at all; what JSON does not know is written as its `str`.

    Raises:
        InputError: as `written_whole`.
    """
    with written_whole(path) as partial:
        partial.write_text(json.dumps(value, indent=2, default=str) + "\n", encoding="utf-8")
