"""What is told of fits beside what they take: `python -m benchmarks.forecasts DATA --out FILE.json`.

Told roughly, as pages do of what to try next, and by `forecast`, as before a long fit. Each fit is of two rounds, and is timed
from its announcement on: its own look at what is ahead comes before. Fits that are finished stand in the file and are not
fitted again; one that was interrupted begins anew, because its time is that of the whole.
"""

import argparse
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.process import peak_bytes
from convrfm import ConvRFMClassifier, DeepConvRFMClassifier, datasets, kernels
from convrfm.announcements import announced_to
from convrfm.kernels.growth import ROUGHLY, timed_by_the_processor
from convrfm.quantities import duration, size
from convrfm.storage.atomic import write_json
from convrfm.storage.values import values_from

Model = ConvRFMClassifier | DeepConvRFMClassifier
ROUNDS: dict[str, Any] = {"n_iterations": 1, "keep": "last"}
WHITENED: dict[str, Any] = {
    "solver": "features",
    "first_filters": "patches",
    "patch_normalization": "contrast",
    "initial_metric": "whitening",
}


@dataclass(frozen=True)
class Fit:
    """A kind of fit: its model for images of a side, and the numbers of images that it is measured at."""

    model: Callable[[int], Model]
    sizes: tuple[int, ...]


def flat(**settings: Any) -> Callable[[int], Model]:
    """The NTK of depth 3."""
    return lambda side: ConvRFMClassifier(kernels.NTK(kernels.vanilla(3)), **ROUNDS | settings)


def averaged(side: int) -> Model:
    """The features of whitened patches, averaged over quarters."""
    return ConvRFMClassifier(kernels.NNGP(kernels.vanilla(1, 6, pooling=(side - 5) // 2)), **ROUNDS | WHITENED)


FITS: Mapping[str, Fit] = {
    "flat": Fit(flat(), (100, 640, 2000, 3500, 5000)),
    "folds": Fit(flat(cv=5), (100, 640)),
    "Laplace": Fit(lambda side: ConvRFMClassifier(kernels.Laplace(5, 10.0), **ROUNDS), (100, 640)),
    "deep": Fit(lambda side: DeepConvRFMClassifier(depth=3, **ROUNDS), (100, 640)),
    "squares": Fit(
        lambda side: ConvRFMClassifier(kernels.NTK(kernels.vanilla(3, pooling=2)), **ROUNDS), (100, 300, 1000)
    ),
    "deep, few gradients": Fit(lambda side: DeepConvRFMClassifier(depth=3, agop_samples=100, **ROUNDS), (2000, 5000)),
    "global": Fit(
        lambda side: ConvRFMClassifier(kernels.NTK(kernels.vanilla(3, pooling="global")), **ROUNDS), (100, 200)
    ),
    "myrtle": Fit(lambda side: ConvRFMClassifier(kernels.NTK(kernels.myrtle(5)), **ROUNDS), (50, 150)),
    "features": Fit(averaged, (100, 640, 2000, 5000)),
    "tiles": Fit(flat(ridge=1e-3, agop_samples=2000, solver="cg"), (5000, 20_000)),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecasts", description=__doc__)
    parser.add_argument("data", help="as for convrfm fit")
    parser.add_argument("--out", type=Path, required=True, help="file of the finished fits")
    parser.add_argument("--only", choices=FITS, nargs="+", default=list(FITS), help="kinds of fits")
    parser.add_argument("--at-most", type=int, default=5000, help="images")
    arguments = parser.parse_args()
    finished = values_from(arguments.out.read_text(encoding="utf-8")) if arguments.out.exists() else {}
    for kind in arguments.only:
        for n in FITS[kind].sizes:
            name = f"{kind} {n}"
            if n <= arguments.at_most and name not in finished:
                finished[name] = measured(arguments.data, FITS[kind], n)
                write_json(arguments.out, finished)
            if name in finished:
                tell(name, finished[name])


def measured(data: str, fit: Fit, n: int) -> dict[str, Any]:
    """Seconds and bytes: as they were forecast, as the fit announced them in words, and as they were."""
    images = datasets.load(data, n_train=n)
    x, y, model = images.x_train, images.y_train, fit.model(images.x_train.shape[-1])
    with timed_by_the_processor():
        rough = model.forecast(x, y, patience=ROUGHLY)
    expected = model.forecast(x, y)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak_bytes()
    start, said = time.perf_counter(), list[tuple[str, float, float]]()
    with announced_to(lambda told: said.append((told, time.perf_counter(), time.process_time()))):
        model.set_params(verbose=True).fit(x, y)
    announced, wall, processor = next(line for line in said if line[0].startswith("fitting"))
    return {
        "announced": announced,
        "rough_seconds": rough.seconds,
        "expected_seconds": expected.seconds,
        "look_seconds": wall - start,
        "seconds": time.perf_counter() - wall,
        "processor_seconds": time.process_time() - processor,
        "load": os.getloadavg()[0],
        "expected_bytes": float(expected.bytes),
        "bytes": float(peak_bytes() - before),
    }


def tell(name: str, found: Mapping[str, Any]) -> None:
    """Two lines."""
    took, worked = found["seconds"], found["processor_seconds"]
    print(f"{name}: {found['announced']}")
    print(
        f"{name}: {duration(found['expected_seconds'])} were forecast, and it took {duration(took)} "
        f"after a look of {duration(found['look_seconds'])}, "
        f"{took / found['expected_seconds']:.2f} times as long; of the processor {duration(found['rough_seconds'])} roughly, "
        f"and {duration(worked)}, {worked / found['rough_seconds']:.2f} times (load {found['load']:.1f}); "
        f"{size(int(found['expected_bytes']))} beside temporaries, and it grew by {size(int(found['bytes']))}",
        flush=True,
    )


if __name__ == "__main__":
    main()
