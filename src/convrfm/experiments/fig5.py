"""Local signals by noise level (Fig. 5 of the paper): NTK, ConvRFM, Deep ConvRFM and the corresponding CNN."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from ..datasets import load, noisy_digits
from ..maths.intervals import mean_with_interval, means_over
from ..plots import plot_levels
from ..report import Section
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .four_methods import HEADER, METHODS, Images, above_the_kernel, above_too, accuracies, cells, gains, steps
from .mnist_images import WANTED, mnist
from .scale import Scale
from .settings import refuse_others
from .small_data.images import LabeledImages

BARS, DIGITS = "bars", "noisy MNIST"


@dataclass(frozen=True)
class Task:
    """Draws of one task at every noise level, n images for training and as many for testing."""

    name: str
    n: int
    sigmas: tuple[float, ...]
    seeds: int
    depth: int


@dataclass(frozen=True)
class Fig5Settings:
    """Both tasks, the filters and updates of every layer of Deep ConvRFM, and the most epochs of the CNN."""

    tasks: tuple[Task, ...]
    n_filters: int = 64
    n_iterations: int = 2
    epochs: int = 60


def images(run: Run[Fig5Settings], task: Task, sigma: float, seed: int) -> Images:
    """Training and test images of one draw."""
    if task.name == BARS:
        data = load("bars", n_train=task.n, n_test=task.n, sigma=sigma, seed=seed)
        return LabeledImages(data.x_train, data.y_train), LabeledImages(data.x_test, data.y_test)
    digits = mnist(run.data, task.n, seed=seed, download=run.download)
    generator = np.random.default_rng(seed)
    train, test = (
        noisy_digits(task.n, sigma=sigma, generator=generator, digits=(x[:, 0], y))
        for x, y in ((digits.x_train, digits.y_train), (digits.x_test, digits.y_test))
    )
    return LabeledImages(*train), LabeledImages(*test)


def plan(run: Run[Fig5Settings]) -> Iterator[Step]:
    """A step for the kernel machines and one for the CNN of every draw; all levels of a seed come together."""
    refuse_others("tasks", [task.name for task in run.settings.tasks], (BARS, DIGITS))
    for task in run.settings.tasks:
        for seed in range(run.seed, run.seed + task.seeds):
            for sigma in task.sigmas:
                yield from steps(
                    {"task": task.name, "sigma": sigma, "seed": seed},
                    partial(images, run, task, sigma, seed),
                    seed,
                    depth=task.depth,
                    epochs=run.settings.epochs,
                    n_filters=run.settings.n_filters,
                    n_iterations=run.settings.n_iterations,
                    device=run.device,
                    verbose=run.verbose,
                )


def conclude(run: Run[Fig5Settings], lines: Sequence[Line]) -> Finding:
    """Wherever the CNN's mean is above the NTK's: whether those of ConvRFM and of Deep ConvRFM are too."""
    rows, told, places, sections = [], [], list[bool](), []
    for task in run.settings.tasks:
        levels = {
            sigma: accuracies(line for line in lines if (line["task"], line["sigma"]) == (task.name, sigma))
            for sigma in task.sigmas
        }
        learnable = {sigma: each for sigma, each in levels.items() if each["CNN"].mean() > each["NTK"].mean()}
        above = [above_the_kernel(each) for each in learnable.values()]
        places += above
        told.append(f"{task.name}: {above_too(above, len(levels), 'at', 'levels')}{_shortfall(learnable)}")
        rows += [[task.name, f"{sigma:g}", *cells(each)] for sigma, each in levels.items()]
        scores = {method: np.array([each[method] for each in levels.values()]) for method in METHODS}
        sections.append(
            Section(f"By noise level: {task.name}").figure(
                plot_levels(task.sigmas, scores, xlabel="sigma of the noise"),
                caption=f"Test accuracy with {task.n} training and as many test images; {means_over(task.seeds)}.",
                alt=f"Line chart of test accuracy on {task.name} by noise level: {', '.join(METHODS)}.",
                name=task.name.replace(" ", "-").lower(),
            )
        )
    return Finding(
        verdict=Verdict.of(places),
        ours=f"{'; '.join(told)}.",
        header=("task", "sigma", *HEADER),
        rows=rows,
        caption="Test accuracy in per cent, means over draws; differences draw by draw, of three or more with their 95% "
        f"intervals. The paper reports the CNN's best epoch on test images; here, of {run.settings.epochs}, held-out training "
        "images choose it.",
        sections=sections,
    )


def _shortfall(levels: Mapping[float, Mapping[str, Float[np.ndarray, " seeds"]]]) -> str:
    """Where a kernel machine is not above the NTK, and by how much."""
    short = [
        f"{method} by {mean_with_interval(gain, signed=True)} points at sigma {sigma:g}"
        for sigma, each in levels.items()
        for method, gain in gains(each).items()
        if method != "CNN" and gain.mean() <= 0
    ]
    return f" (not {', '.join(short)})" if short else ""


LEVELS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
EXPERIMENT = Experiment(
    name="fig5",
    title="Local signals: learned kernels against fixed kernels and CNNs",
    claim="Where a CNN overcomes the noise around a local signal better than the NTK, ConvRFM and Deep ConvRFM do so too.",
    published="Fig. 5 of the paper: ConvRFM and Deep ConvRFM above the NTK, close to the CNN; its numbers are not at hand.",
    settings={
        Scale.SMOKE: Fig5Settings(
            (Task(BARS, 24, (0.5, 2.0), 2, depth=2), Task(DIGITS, 20, (1.0,), 1, depth=2)), 4, 1, epochs=2
        ),
        Scale.LAPTOP: Fig5Settings(
            (Task(BARS, 200, LEVELS[1:6], 3, depth=2), Task(DIGITS, 300, (0.5, 2.0), 2, depth=3)), 32, epochs=30
        ),
        Scale.FULL: Fig5Settings((Task(BARS, 500, LEVELS, 5, depth=2), Task(DIGITS, 2000, LEVELS[1:6], 3, depth=3))),
    },
    minutes={Scale.SMOKE: 0.5, Scale.LAPTOP: 25, Scale.FULL: 1000},
    plan=plan,
    conclude=conclude,
    data=WANTED,
)
