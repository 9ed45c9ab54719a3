"""Deep ConvRFM against ConvRFM and the fixed kernel on noisy MNIST (Fig. 5B of the paper).

    python -m convrfm.experiments.deep_noisy_mnist --data mnist.npz --out runs/deep-noisy-mnist

One model a draw: `staged_predict` gives the fixed kernel, ConvRFM (the first layer), and Deep ConvRFM with two and three
layers. Rounds and ridges are chosen by leave-one-out. Every finished draw is kept; the same command continues.
`--centering none` leaves the mean of the features between layers, as the paper does.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import load, noisy_digits
from ..estimators import DeepConvRFMClassifier
from ..kernels import NTK, vanilla
from ..maths.intervals import mean_with_interval
from ..report.versions import versions
from ..storage.atomic import write_json, written_whole
from .run_folder import RunFolder, Step

STAGES = ("fixed kernel", "ConvRFM", "two layers", "Deep ConvRFM")
DEPTH = 3
MEMORY = 3 * 2**30  # bytes: images of 64 channels are embedded once, and kept
RANK_TOLERANCE = 1e-4  # of the trace of M: most of the 576 directions of a patch of features carry less


def kernel_family(depth: int) -> NTK:
    """The paper's networks, with memory for images of many channels."""
    return NTK(vanilla(depth), memory_budget=MEMORY, rank_tolerance=RANK_TOLERANCE)


def accuracies(data: str, n: int, sigma: float, seed: int, **settings: Any) -> Step:
    """Test accuracy by stage of one draw of n training and n test images."""
    digits = load(data, n_train=n, n_test=n, seed=seed)
    generator = np.random.default_rng(seed)

    def noisy(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return noisy_digits(n, sigma=sigma, generator=generator, digits=(x[:, 0], np.searchsorted(digits.classes, y)))

    (x, y), (x_test, y_test) = noisy(digits.x_train, digits.y_train), noisy(digits.x_test, digits.y_test)
    model = DeepConvRFMClassifier(
        kernel_family,
        depth=DEPTH,
        agop_samples=min(200, n),
        random_state=seed,
        **settings,
    ).fit(x, y)
    return Step(
        {
            "accuracies": [float((predicted == y_test).mean()) for predicted in model.staged_predict(x_test)],
            "kept": model.best_iterations_,
            "centerings": model.centerings_,
            "history": model.history_,
        }
    )


def table(found: dict[float, list[list[float]]], n: int) -> str:
    """Means over draws with their 95% intervals, and of the gains draw by draw, in Markdown."""
    head = ("sigma", "draws", *STAGES, "ConvRFM: gain", "Deep ConvRFM: gain over ConvRFM")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for sigma, draws in found.items():
        fixed, shallow, *_, deep = stages = np.array(draws).T
        cells = [mean_with_interval(100 * values) for values in (*stages, shallow - fixed, deep - shallow)]
        lines.append(f"| {sigma:g} | {len(draws)} | " + " | ".join(cells) + " |")
    return f"n = {n} for training, and as many for testing.\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Run all draws that are not there yet, and write `table.md` and `record.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="MNIST as an .npz file")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--sigma", type=float, nargs="+", default=[1.0, 2.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=2)
    parser.add_argument("--centering", choices=("loo", "mean", "proportional", "none"), default="loo")
    given = parser.parse_args()
    settings = {
        "n_filters": given.filters,
        "n_iterations": given.iterations,
        "centering": None if given.centering == "none" else given.centering,
    }
    run = {"data": given.data, "n": given.n, **settings, "rank_tolerance": RANK_TOLERANCE, **versions()}
    folder = RunFolder(given.out, run, overwrite=False)
    found: dict[float, list[list[float]]] = {sigma: [] for sigma in given.sigma}
    for seed in range(given.seeds):
        for sigma in given.sigma:
            step = folder.step(
                f"sigma-{sigma:g}-seed-{seed}",
                lambda seed=seed, sigma=sigma: accuracies(given.data, given.n, sigma, seed, **settings),
            )
            found[sigma].append(step.record["accuracies"])
            write_json(given.out / "record.json", {"settings": run, "accuracies": found})
            with written_whole(given.out / "table.md") as partial:
                partial.write_text(table({s: draws for s, draws in found.items() if draws}, given.n))
            print(sigma, seed, step.record["accuracies"], flush=True)


if __name__ == "__main__":
    main()
