"""A function in a process of its own, so that no architecture can take the whole machine."""

import resource
import signal
import traceback
import warnings
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

SECONDS_BETWEEN_LOOKS = 0.02
GIGABYTE = 2**30


def limited(function: Callable[[], Mapping[str, Any]], seconds: int, gigabytes: float) -> dict[str, Any]:
    """What the function returns, or `{"failed": ...}` with what kept it from that.

    Args:
        function: Run in a fork of this process.
        seconds: The most that it may take of a CPU.
        gigabytes: The most memory that the fork may hold.
    """
    context = get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(sending, function, seconds))
    child.start()
    sending.close()
    assert child.pid is not None
    try:
        while not receiving.poll(SECONDS_BETWEEN_LOOKS):
            if _resident_bytes(child.pid) > gigabytes * GIGABYTE:
                return {"failed": f"left out: needs more than {gigabytes:g} GB of memory"}
        found: dict[str, Any] = receiving.recv()
        return found
    except EOFError:
        child.join()
        if child.exitcode == -signal.SIGXCPU:
            return {"failed": f"left out: needs more than {seconds} s of a CPU"}
        return {"failed": f"its process ended with status {child.exitcode}"}
    finally:
        child.kill()
        child.join()


def _send(sending: Connection, function: Callable[[], Mapping[str, Any]], seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    try:
        with warnings.catch_warnings(action="ignore"):
            found = dict(function())
    except Exception as error:
        traceback.print_exc()
        found = {"failed": f"{type(error).__name__}: {error}"}
    sending.send(found)


def _resident_bytes(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")), 0)
