"""(c) The published noisy-MNIST run, from files of digits to its page."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from convrfm.experiments.noisy_mnist import EXPERIMENT, PUBLISHED_ACCURACY
from convrfm.experiments.reproduce import Request, reproduce
from convrfm.experiments.scale import Scale

from .session import Line, Session


def published(session: Session) -> Iterator[Line]:
    """Its rounds, then the whole."""
    data = None if session.data is None else session.data / "mnist.npz"
    if data is None or not data.exists():
        yield {"name": "noisy-mnist", "left_out": "mnist.npz is not in the folder that --data names"}
        return
    request = Request(Scale.SMOKE if session.tiny else Scale.FULL, device=session.device.type, data=str(data))
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = reproduce(EXPERIMENT, request, Path(folder) / "run")
    taken = time.perf_counter() - start
    for line, accuracy in zip(found.lines, PUBLISHED_ACCURACY, strict=True):
        told = {name: line[name] for name in ("test_accuracy", "test_interval", "fit_seconds", "test_seconds")}
        yield {"name": f"round {line['round']}", "published_accuracy": accuracy, **told}
    yield {"name": "noisy-mnist, from start to end", "seconds": taken}
