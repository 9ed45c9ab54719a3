"""A contestant's process: it warms up, then does its work once for every line that it reads."""

import json
import resource
import sys
import time
from collections.abc import Callable


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def serve(work: Callable[[], object], images: int = 1) -> None:
    """Say the seconds (for one image) of every round, and the peak memory above what the imports had taken."""
    before = peak_bytes()
    start = time.perf_counter()
    work()
    print(json.dumps({"first_call": (time.perf_counter() - start) / images}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        work()
        seconds = (time.perf_counter() - start) / images
        print(json.dumps({"seconds": seconds, "bytes": peak_bytes() - before}), flush=True)
    sys.exit()


def run(main: Callable[[dict], None]) -> None:
    main(json.loads(sys.argv[1]))
