"""Run every trial that is missing, write the results, docs/small_data.md and docs/small_data.svg."""

import argparse
import time
from pathlib import Path

from ..environments import ROOT
from .images import DataSet, data_sets
from .methods import METHODS, Measured
from .page import write_page
from .picture import draw
from .plan import PLAN, QUICK, Trial, trials
from .results import append_result, commit, read_results


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small_data", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with cifar10/, gtsrb32/ and usps.npz; without it, only write")
    parser.add_argument("--fashion", type=Path, help="folder with Fashion-MNIST's four idx files")
    parser.add_argument("--quick", action="store_true", help="n up to 80, 2 seeds, into runs/small_data")
    arguments = parser.parse_args()
    results = ROOT / "benchmarks" / "small_data" / "results.jsonl"
    page = ROOT / "docs" / "small_data.md"
    if arguments.quick:
        folder = ROOT / "runs" / "small_data"
        folder.mkdir(parents=True, exist_ok=True)
        results, page = folder / "results.jsonl", folder / "small_data.md"
    if arguments.data:
        run(results, {data.name: data for data in data_sets(arguments.data, arguments.fashion)}, quick=arguments.quick)
    found = read_results(results)
    write_page(page, found)
    draw(page.with_suffix(".svg"), found)


def run(results: Path, found: dict[str, DataSet], *, quick: bool) -> None:
    """Run what the results lack."""
    finished, at = read_results(results), commit()  # of the code as it was loaded
    for trial in trials(QUICK if quick else PLAN, {name: data.n_classes for name, data in found.items()}):
        if trial not in finished:
            measured = measure(trial, found[trial.data])
            finished[trial] = measured
            append_result(results, trial, measured, at)
            print(*trial, *(f"{name}={value:.4g}" for name, value in measured.items()), flush=True)


def measure(trial: Trial, data: DataSet) -> Measured:
    train = data.training_images(trial.n, trial.seed)
    start = time.perf_counter()
    measured = METHODS[trial.method](train, data, trial.seed)
    return measured | {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    main()
