"""Data sets and depth (Fig. 6 of the paper): four methods on each, and accuracy by the number of layers that learn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..maths.intervals import above_zero, mean_with_interval, means_over, with_intervals
from ..plots import plot_groups, plot_levels
from ..report import Section
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .four_methods import HEADER, METHODS, above_the_kernel, above_too, accuracies, cells, steps
from .scale import Scale
from .scaled_images import GENERATED, images

WANTED = (
    "a folder with cifar10/, gtsrb32/ (atlases train_00.png, ... of 50 x 40 tiles, and labels), usps.npz, mnist.npz and "
    "medmnist/pneumoniamnist_small.npz."
)


@dataclass(frozen=True)
class Fig6Settings:
    """Draws of n training images of each data set, the layers of Deep ConvRFM, and the most epochs of the CNN."""

    data_sets: tuple[str, ...] = ("noisy-digits", "GTSRB", "CIFAR-10", "USPS", "MNIST", "PneumoniaMNIST")
    n: int = 100
    n_test: int = 500
    seeds: int = 3
    depth: int = 3
    n_filters: int = 32
    n_iterations: int = 1
    epochs: int = 40


def plan(run: Run[Fig6Settings]) -> Iterator[Step]:
    """A step for the kernel machines and one for the CNN of every draw; all data sets of a seed come together."""
    settings = run.settings
    for seed in range(run.seed, run.seed + settings.seeds):
        for name in settings.data_sets:
            yield from steps(
                {"data_set": name, "seed": seed},
                partial(images, name, run.data, settings.n, seed, settings.n_test),
                seed,
                depth=settings.depth,
                epochs=settings.epochs,
                n_filters=settings.n_filters,
                n_iterations=settings.n_iterations,
                device=run.device,
                verbose=run.verbose,
            )


def conclude(run: Run[Fig6Settings], lines: Sequence[Line]) -> Finding:
    """A: where the CNN is above the NTK, are ConvRFM and Deep ConvRFM? B: do further layers gain on local signals?"""
    settings = run.settings
    sets = {name: accuracies(line for line in lines if line["data_set"] == name) for name in settings.data_sets}
    learnable = [each for each in sets.values() if each["CNN"].mean() > each["NTK"].mean()]
    above = [above_the_kernel(each) for each in learnable]
    stages = {
        name: np.array([line["stages"] for line in lines if line["data_set"] == name and "stages" in line]).T
        for name in settings.data_sets
    }
    deeper = {name: 100 * (scores[-1] - scores[1]) for name, scores in stages.items()}
    local = [above_zero(gain) for name, gain in deeper.items() if name in GENERATED]
    better = [name for name, gain in deeper.items() if gain.mean() > 0]
    return Finding(
        verdict=Verdict.of([*above, *local]),
        ours=f"{above_too(above, len(sets), 'on', 'data sets')}"
        f"{'' if above else ' (so that this half was not put to the test)'}; on local signals "
        f"{settings.depth} layers that learn are above one by more than the 95% interval on {local.count(True)} of "
        f"{len(local)}, on average on {len(better)} of all {len(sets)} data sets.",
        header=("data set", *HEADER),
        rows=[[name, *cells(each)] for name, each in sets.items()],
        caption=f"A. Test accuracy in per cent, on at most {settings.n_test} images: means over {settings.seeds} draws of "
        f"{settings.n} training images; differences draw by draw{with_intervals(settings.seeds)}. NTK of depth "
        f"{settings.depth}; the CNN's epochs, at most {settings.epochs}, are chosen on held-out training images.",
        sections=[
            Section("A. By data set").figure(
                plot_groups(list(sets), {m: np.array([each[m] for each in sets.values()]) for m in METHODS}),
                caption=f"Test accuracy; {means_over(settings.seeds)}.",
                alt=f"Bars of test accuracy of {', '.join(METHODS)} on {', '.join(sets)}.",
                name="data-sets",
            ),
            Section("B. By the number of layers that learn")
            .figure(
                plot_levels(range(settings.depth + 1), stages, xlabel="layers that learn features"),
                caption="Test accuracy of Deep ConvRFM as the number of layers grows whose metric is learned: 0 is the NTK, 1 "
                "is ConvRFM. The kernel loses a layer whenever the features gain one.",
                alt="Line chart of test accuracy by number of layers, a line for each data set.",
                name="layers",
            )
            .table(
                ("data set", *map(str, range(settings.depth + 1)), "last - 1"),
                [
                    [
                        name,
                        *(f"{100 * each.mean():.1f}" for each in scores),
                        mean_with_interval(deeper[name], signed=True),
                    ]
                    for name, scores in stages.items()
                ],
                "Means of the same, in per cent, and the gain of all layers over the first draw by draw"
                f"{with_intervals(settings.seeds)}.",
            ),
        ],
    )


EXPERIMENT = Experiment(
    name="fig6",
    title="Four methods by data set, and the number of layers that learn",
    claim="Where a CNN is above the NTK, ConvRFM and Deep ConvRFM are too; and on local signals further layers that learn "
    "features gain over one.",
    published="Fig. 6 of the paper: ConvRFM and Deep ConvRFM above the NTK on almost all of PyTorch's data sets, and gains by "
    "depth on local signals, SVHN and EMNIST; its numbers are not at hand, and it trains on more images. The data sets here "
    "stand in.",
    settings={
        Scale.SMOKE: Fig6Settings(("noisy-digits",), n=30, n_test=30, seeds=2, depth=2, n_filters=4, epochs=3),
        Scale.LAPTOP: Fig6Settings(),
        Scale.FULL: Fig6Settings(n=1000, n_filters=64, n_iterations=5, epochs=500),
    },
    minutes={Scale.SMOKE: 0.2, Scale.LAPTOP: 20, Scale.FULL: 1500},
    plan=plan,
    conclude=conclude,
    data=WANTED,
)
