"""Who writes at an address: an object there that says so, and is renewed as long as that process lives."""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import InputError
from .values import values_from

LEASE = ".lease.json"
BOOT, PROCESSES = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")  # where Linux tells them
RENEWED_EVERY, LAPSES_AFTER = 60.0, 300.0  # seconds; the clocks of two machines may differ by the difference


class Lease:
    """What says at an address that this process writes there; lost once it lapsed or is another's, and then left alone.

    Args:
        files: a file system of fsspec.
        path: in it.
        address: of both, for messages.
    """

    def __init__(self, files: Any, path: str, address: str) -> None:
        self._files, self._key, self._address = files, f"{path}/{LEASE}", address
        self._own = {
            "host": socket.gethostname(),
            "machine": _machine(),
            "process": os.getpid(),
            "token": uuid.uuid4().hex,
        }
        self._at, self._is_lost = 0.0, False

    def check(self) -> None:
        """Raise `InputError` where it is lost; to be asked before each write."""
        if self._is_lost or self._has_lapsed:
            raise InputError(
                f"{self._address} may be another convrfm's by now: this one could not renew {LEASE} there for "
                f"{LAPSES_AFTER:.0f} s, or found another's. Run the command again once no other writes there; finished tiles "
                "stay."
            )

    def take(self) -> None:
        """Where there is none, or that of a process that has ended; raises `InputError` where another holds it."""
        if (there := _read(self._files, self._key)) is not None:
            if (left := _seconds_left(there)) > 0:
                raise _held(self._address, there, left)
            now = _read(self._files, self._key)
            if now is not None and now.get("token") != there.get("token"):
                raise _held(self._address, now, LAPSES_AFTER)
            with suppress(FileNotFoundError):
                self._files.rm_file(self._key)
        with suppress(FileExistsError):
            self._write(mode="create")
        if (there := _read(self._files, self._key) or {}).get("token") != self._own["token"]:
            raise _held(self._address, there, LAPSES_AFTER)

    def renew(self) -> None:
        """Keep it from lapsing, unless it did: another may be taking it."""
        if self._is_lost or self._has_lapsed or not self._is_own:
            self._is_lost = True
        else:
            self._write()

    def give_back(self) -> None:
        """Take it away, unless it is another's."""
        if self._is_own:
            self._files.rm_file(self._key)

    @property
    def _has_lapsed(self) -> bool:
        return time.time() > self._at + LAPSES_AFTER

    @property
    def _is_own(self) -> bool:
        return (_read(self._files, self._key) or {}).get("token") == self._own["token"]

    def _write(self, **mode: str) -> None:
        at = time.time()
        self._files.pipe_file(self._key, json.dumps(self._own | {"at": at}).encode(), **mode)
        self._at = at


@contextmanager
def leased(files: Any, path: str, address: str) -> Iterator[Lease]:
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
    lease = Lease(files, path, address)
    try:
        files.makedirs(path, exist_ok=True)
        lease.take()
    except InputError:
        raise
    except Exception as error:  # every file system has its own
        raise InputError(f"cannot write {address}: {error}. Look at its rights, or choose another place.") from error
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(RENEWED_EVERY):
            with suppress(Exception):  # a store that is out of reach for a while: the next one may succeed
                lease.renew()

    renewing = threading.Thread(target=renew, daemon=True)
    renewing.start()
    try:
        yield lease
    finally:
        ended.set()
        renewing.join()
        with suppress(Exception):  # it lapses
            lease.give_back()


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
    process, machine = there.get("process"), there.get("machine")
    if machine is not None and machine == _machine() and isinstance(process, int) and not _lives(process):
        return 0.0
    at = there.get("at")
    return at + LAPSES_AFTER - time.time() if isinstance(at, float) else 0.0


def _machine() -> list[str] | None:
    """What tells machines and containers apart, which may share a host name; None where nothing does."""
    try:
        return [socket.gethostname(), BOOT.read_text(encoding="utf-8").strip(), str(PROCESSES.readlink())]
    except OSError:
        return None


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
