"""Compiled code on disk, kept with its digest: what is damaged, or cannot be kept, is compiled again, and that is said."""

import hashlib
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile

DIGEST_BYTES = hashlib.sha256().digest_size


class CheckedCache(FunctionCache):
    """Numba's cache of one function; without a digest, one damaged byte of machine code ends the whole process."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        locator = self._impl.locator
        self._cache_file = _CheckedFile(self._cache_path, self._impl.filename_base, locator.get_source_stamp())


class _CheckedFile(IndexDataCacheFile):
    def load(self, key: Any) -> Any:
        try:
            return super().load(key)
        except (OSError, ValueError) as error:
            self._say(f"{error}; it is compiled again")
            return None

    def save(self, key: Any, data: Any) -> None:
        try:
            try:
                super().save(key, data)
            except ValueError:
                self.flush()
                super().save(key, data)
        except OSError as error:
            self._say(f"{error}; compiled code is not kept")

    def _load_index(self) -> dict[Any, str]:
        if not Path(self._index_path).exists():
            return {}
        stamp, overloads = _read_whole(Path(self._index_path))
        return overloads if stamp == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, ((self._version, self._source_stamp), overloads))

    def _load_data(self, name: str) -> Any:
        return _read_whole(Path(self._data_path(name)))

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

    def _write(self, path: str, value: Any) -> None:
        pickled = self._dump(value)
        with self._open_for_write(path) as file:
            file.write(hashlib.sha256(pickled).digest() + pickled)

    def _say(self, what: str) -> None:
        logging.getLogger("convrfm").warning(f"compiled code in {self._cache_path}: {what}.")


def _read_whole(path: Path) -> Any:
    """What was pickled into a file; raises `ValueError` if it is not what was written."""
    whole = path.read_bytes()
    told, pickled = whole[:DIGEST_BYTES], whole[DIGEST_BYTES:]
    if hashlib.sha256(pickled).digest() != told:
        raise ValueError(f"{path.name} is damaged")
    return pickle.loads(pickled)
