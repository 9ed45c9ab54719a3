"""A word to whoever waits while numba compiles, and what tells compiled code on disk from that of other sources."""

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from numba.core.event import Event, Listener, register


class _Announcement(Listener):
    """Says one sentence when a function is compiled; finding compiled code on disk is no such event."""

    def __init__(self, dispatcher: Any, sentence: str) -> None:
        self._dispatcher, self._sentence = dispatcher, sentence

    def on_start(self, event: Event) -> None:
        if event.data["dispatcher"] is self._dispatcher:
            logging.getLogger("convrfm").warning(self._sentence)

    def on_end(self, event: Event) -> None:
        pass


def announced(dispatcher: Any, *, kept: bool) -> Any:
    """The compiled function, which from now on says so whenever it must really be compiled.

    Args:
        dispatcher: what numba's `njit` gave.
        kept: whether its code is kept on disk.
    """
    lasting = (
        "once for this processor"
        if kept
        else "in every process, because no folder can keep the result: let NUMBA_CACHE_DIR name one that can be written"
    )
    sentence = f"compiling {dispatcher.__name__} for this precision, {lasting}; some seconds"
    register("numba:compile", _Announcement(dispatcher, sentence))
    return dispatcher


def digest(folders: Iterable[Path]) -> str:
    """Twelve hexadecimal digits that change with the Python files of some folders."""
    whole = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            whole.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()[:12]
