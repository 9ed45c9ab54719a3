"""Local signals by noise level (Fig. 5 of the paper): NTK, ConvRFM, Deep ConvRFM and the corresponding CNN.

One deep model a draw gives three of the four: its fixed kernel, its first layer, and all layers. Rounds and ridges are
chosen by leave-one-out, the number of the CNN's epochs on a fifth of the training images.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..datasets import load, noisy_digits
from ..estimators import DeepConvRFMClassifier
from ..maths.intervals import mean_with_interval
from ..plots import plot_levels
from ..report import Section
from .deep_kernels import kernel_family
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .mnist_images import WANTED, mnist
from .scale import Scale
from .small_data.cnn import EPOCHS, cnn_predictions
from .small_data.images import LabeledImages

METHODS = ("NTK", "ConvRFM", "Deep ConvRFM", "CNN")
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
    epochs: int = EPOCHS


def images(run: Run[Fig5Settings], task: Task, sigma: float, seed: int) -> tuple[LabeledImages, LabeledImages]:
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


def kernel_machines(run: Run[Fig5Settings], task: Task, sigma: float, seed: int) -> Line:
    """Test accuracy of the fixed kernel, of the first layer and of all layers."""
    train, test = images(run, task, sigma, seed)
    model = DeepConvRFMClassifier(
        kernel_family,
        depth=task.depth,
        n_filters=run.settings.n_filters,
        n_iterations=run.settings.n_iterations,
        agop_samples=min(200, task.n),
        device=run.device,
        random_state=seed,
        verbose=run.verbose,
    ).fit(train.x, train.y)
    fixed, shallow, *_, deep = (float((predicted == test.y).mean()) for predicted in model.staged_predict(test.x))
    return {"NTK": fixed, "ConvRFM": shallow, "Deep ConvRFM": deep, "kept": model.best_iterations_}


def cnn(run: Run[Fig5Settings], task: Task, sigma: float, seed: int) -> Line:
    """Test accuracy of the paper's network."""
    train, test = images(run, task, sigma, seed)
    return {"CNN": float((cnn_predictions(train, test.x, seed, run.settings.epochs) == test.y).mean())}


def plan(run: Run[Fig5Settings]) -> Iterator[Step]:
    """A step for the kernel machines and one for the CNN of every draw; all levels of a seed come together."""
    for task in run.settings.tasks:
        for seed in range(run.seed, run.seed + task.seeds):
            for sigma in task.sigmas:
                for model, compute in (("kernel machines", kernel_machines), ("CNN", cnn)):
                    at = {"task": task.name, "sigma": sigma, "seed": seed, "model": model}
                    yield Step(at, partial(compute, run, task, sigma, seed))


def conclude(run: Run[Fig5Settings], lines: Sequence[Line]) -> Finding:
    """Wherever the CNN's mean is above the NTK's: whether those of ConvRFM and of Deep ConvRFM are too."""
    rows, told, places, sections = [], [], list[bool](), []
    for task in run.settings.tasks:
        scores = {
            method: np.array(
                [
                    [
                        line[method]
                        for line in lines
                        if method in line and line["task"] == task.name and line["sigma"] == s
                    ]
                    for s in task.sigmas
                ]
            )
            for method in METHODS
        }
        means = {method: values.mean(1) for method, values in scores.items()}
        learnable = means["CNN"] > means["NTK"]
        above = (means["ConvRFM"] > means["NTK"]) & (means["Deep ConvRFM"] > means["NTK"])
        places += above[learnable].tolist()
        told.append(
            f"{task.name}: the CNN is above the NTK at {learnable.sum()} of {len(above)} levels, and at "
            f"{(above & learnable).sum()} of these ConvRFM and Deep ConvRFM are too"
        )
        for level, sigma in enumerate(task.sigmas):
            gains = (scores[method][level] - scores["NTK"][level] for method in METHODS[1:])
            cells = [f"{100 * means[method][level]:.1f}" for method in METHODS]
            rows.append(
                [task.name, f"{sigma:g}", *cells, *(mean_with_interval(100 * gain, signed=True) for gain in gains)]
            )
        sections.append(
            Section(f"By noise level: {task.name}").figure(
                plot_levels(task.sigmas, scores, xlabel="sigma of the noise"),
                caption=f"Test accuracy; means over {task.seeds} draws of {task.n} training and as many test images, with "
                "Student's 95% intervals.",
                alt=f"Line chart of test accuracy on {task.name} by noise level: {', '.join(METHODS)}.",
                name=task.name.replace(" ", "-").lower(),
            )
        )
    return Finding(
        verdict=Verdict.of(places),
        ours=f"{'; '.join(told)}.",
        header=("task", "sigma", *METHODS, *(f"{method} - NTK" for method in METHODS[1:])),
        rows=rows,
        caption="Test accuracy in per cent, means over draws; differences draw by draw with their 95% intervals.",
        sections=sections,
    )


LEVELS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
EXPERIMENT = Experiment(
    name="fig5",
    title="Local signals: learned kernels against fixed kernels and CNNs",
    claim="Where a CNN overcomes the noise around a local signal better than the NTK, ConvRFM and Deep ConvRFM do so too.",
    published="Fig. 5 of the paper: ConvRFM and Deep ConvRFM above the NTK, close to the CNN; its numbers are not at hand.",
    settings={
        Scale.SMOKE: Fig5Settings(
            (Task(BARS, 24, (0.5, 2.0), 2, depth=2), Task(DIGITS, 30, (1.0,), 2, depth=2)), 4, 1, epochs=3
        ),
        Scale.LAPTOP: Fig5Settings(
            (Task(BARS, 200, LEVELS[1:6:2], 3, depth=2), Task(DIGITS, 300, (0.5, 2.0), 2, depth=3)), 32, epochs=100
        ),
        Scale.FULL: Fig5Settings((Task(BARS, 500, LEVELS, 5, depth=2), Task(DIGITS, 2000, LEVELS[1:6], 3, depth=3))),
    },
    minutes={Scale.SMOKE: 0.5, Scale.LAPTOP: 50, Scale.FULL: 3000},
    plan=plan,
    conclude=conclude,
    data=WANTED,
)
