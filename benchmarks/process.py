"""A contestant's process: it warms up, then does its work once for every line that it reads."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path


def peak_bytes() -> int:
    """The most that this program has held; `getrusage` would start from what the process that launched it held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def serve(work: Callable[[], object], share: float = 1.0) -> None:
    """Say the seconds of every round, and the peak memory above what the imports and the inputs had taken.

    Args:
        work: called once to warm up, and once for every line that is read.
        share: the part of the task that one call does; its time is scaled to the whole.
    """
    before = peak_bytes()
    start = time.perf_counter()
    work()
    print(json.dumps({"first_call": time.perf_counter() - start, "share": share}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        work()
        seconds = (time.perf_counter() - start) / share
        print(json.dumps({"seconds": seconds, "bytes": peak_bytes() - before}), flush=True)
    sys.exit()


def run(main: Callable[[dict], None]) -> None:
    main(json.loads(sys.argv[1]))
