"""(c) The published noisy-MNIST run, from files of digits to its page."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from convrfm.experiments.figure import Request
from convrfm.experiments.reproduce import reproduce
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
        found = reproduce(
            "noisy-mnist",
            request,
            Path(folder) / "run",
            overwrite=True,
            verbose=False,
            command="python -m benchmarks.gpu",
        )
    taken = time.perf_counter() - start
    for row in found.rows:
        t, accuracy, published_accuracy, _, _, fitting, testing = map(str, row)
        line = {"name": f"round {t}", "accuracy": accuracy, "published": published_accuracy}
        yield {**line, "fit_seconds": float(fitting), "test_seconds": float(testing)}
    yield {"name": "noisy-mnist, from start to end", "seconds": taken}
