"""What `forecast` says of fits by tiles beside what they take: `python -m benchmarks.forecasts DATA --out FILE.json`.

Each size is a fit of two rounds by the NTK, AGOP at some images. Sizes that are finished stand in the file and are not fitted
again; one that was interrupted begins anew, because its time is that of the whole.
"""

import argparse
import os
import time
from pathlib import Path

from benchmarks.process import peak_bytes
from convrfm import ConvRFMClassifier, datasets, kernels
from convrfm.quantities import duration, size
from convrfm.storage.atomic import write_json
from convrfm.storage.values import values_from


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecasts", description=__doc__)
    parser.add_argument("data", help="as for convrfm fit")
    parser.add_argument("--out", type=Path, required=True, help="file of the finished sizes")
    parser.add_argument("--n", type=int, nargs="+", default=[5000, 20_000], help="training images")
    parser.add_argument("--depth", type=int, default=3, help="of the NTK")
    parser.add_argument("--agop-samples", type=int, default=2000, help="images at which gradients are taken")
    arguments = parser.parse_args()
    finished = values_from(arguments.out.read_text(encoding="utf-8")) if arguments.out.exists() else {}
    for n in arguments.n:
        if str(n) not in finished:
            finished[str(n)] = measured(arguments, n)
            write_json(arguments.out, finished)
        told(n, finished[str(n)])


def measured(arguments: argparse.Namespace, n: int) -> dict[str, float]:
    """Seconds and bytes: as they were forecast, and as they were."""
    images = datasets.load(arguments.data, n_train=n)
    model = ConvRFMClassifier(
        kernels.NTK(kernels.vanilla(arguments.depth)),
        n_iterations=1,
        ridge=1e-3,
        agop_samples=min(n, arguments.agop_samples),
        solver="cg",
        keep="last",
        verbose=True,
    )
    expected, before = model.forecast(images.x_train, images.y_train), peak_bytes()
    wall, processor = time.perf_counter(), time.process_time()
    model.fit(images.x_train, images.y_train)
    return {
        "expected_seconds": expected.seconds,
        "seconds": time.perf_counter() - wall,
        "processor_seconds": time.process_time() - processor,
        "load": os.getloadavg()[0],
        "expected_bytes": float(expected.bytes),
        "bytes": float(peak_bytes() - before),
    }


def told(n: int, found: dict[str, float]) -> None:
    """One line."""
    wall, processor = (found[name] / found["expected_seconds"] for name in ("seconds", "processor_seconds"))
    print(
        f"{n} images: {duration(found['expected_seconds'])} were forecast, and it took {duration(found['seconds'])}, "
        f"{wall:.2f} times as long, {duration(found['processor_seconds'])} of the processor, {processor:.2f} times "
        f"(load {found['load']:.1f}); {size(int(found['expected_bytes']))} beside temporaries, and it grew by "
        f"{size(int(found['bytes']))}",
        flush=True,
    )


if __name__ == "__main__":
    main()
