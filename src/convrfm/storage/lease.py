"""Who writes at an address: an object there that says so, and is renewed as long as that process lives."""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ..errors import InputError
from .values import values_from

LEASE = ".lease.json"
RENEWED_EVERY, LAPSES_AFTER = 60.0, 300.0  # seconds; the clocks of two machines may differ by the difference


@contextmanager
def leased(files: Any, path: str, address: str) -> Iterator[None]:
    """Keep other processes out that ask for the same, as far as the store lets it.

    One that comes second is refused, also while a process that was killed on another machine has not lapsed. Where a store
    creates objects only if they are not there, so are two that come at once; where it does not, both may get in.

    Args:
        files: a file system of fsspec.
        path: in it.
        address: of both, for messages.

    Raises:
        InputError: if another process holds it, or nothing can be written there.
    """
    key, own = f"{path}/{LEASE}", {"host": socket.gethostname(), "process": os.getpid(), "token": uuid.uuid4().hex}

    def write(**mode: str) -> None:
        files.pipe_file(key, json.dumps(own | {"at": time.time()}).encode(), **mode)

    try:
        if (there := _read(files, key)) is not None and (left := _seconds_left(there)) > 0:
            raise _held(address, there, left)
        if there is not None:
            files.rm_file(key)
        files.makedirs(path, exist_ok=True)
        with suppress(FileExistsError):
            write(mode="create")
        there = _read(files, key) or {}
    except InputError:
        raise
    except Exception as error:  # every file system has its own
        raise InputError(f"cannot write {address}: {error}. Look at its rights, or choose another place.") from error
    if there.get("token") != own["token"]:
        raise _held(address, there, LAPSES_AFTER)
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(RENEWED_EVERY):
            with suppress(Exception):  # a store that is out of reach for a while: the next one may succeed
                write()

    renewing = threading.Thread(target=renew, daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        with suppress(Exception):  # it lapses
            files.rm_file(key)


def _read(files: Any, key: str) -> dict[str, Any] | None:
    """What the lease says; nothing of one that is damaged, and None where there is none."""
    try:
        return values_from(files.cat_file(key).decode())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}


def _seconds_left(there: dict[str, Any]) -> float:
    """Until another process may take its place; 0 where it was of a process of this machine that has ended."""
    process = there.get("process")
    if there.get("host") == socket.gethostname() and isinstance(process, int) and not _lives(process):
        return 0.0
    at = there.get("at")
    return at + LAPSES_AFTER - time.time() if isinstance(at, float) else 0.0


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _held(address: str, there: dict[str, Any], left: float) -> InputError:
    return InputError(
        f"another convrfm writes to {address} (process {there.get('process')} of {there.get('host')}). Choose another place, "
        f"or wait for it; where it was killed, for {max(1, round(left))} s."
    )
