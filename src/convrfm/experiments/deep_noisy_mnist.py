"""Deep ConvRFM against ConvRFM and the fixed kernel on noisy MNIST (Fig. 5B of the paper).

One model a draw: `staged_predict` gives the fixed kernel, ConvRFM (the first layer), and Deep ConvRFM with two and three
layers. Rounds and ridges are chosen by leave-one-out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from ..datasets import noisy_digits
from ..estimators import DeepConvRFMClassifier
from ..maths.intervals import above_zero, mean_with_interval, means_over
from ..plots import plot_levels
from ..report import Section
from .deep_kernels import kernel_family
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .mnist_images import WANTED, mnist
from .scale import Scale

STAGES = ("fixed kernel", "ConvRFM", "two layers", "Deep ConvRFM")


@dataclass(frozen=True)
class DeepSettings:
    """Draws of n training and n test images, and three layers.

    `centering` of "none" leaves the mean of the features between layers, as the paper does.
    """

    n: int = 2000
    seeds: int = 3
    sigmas: tuple[float, ...] = (1.0, 2.0)
    n_filters: int = 64
    n_iterations: int = 2
    centering: Literal["loo", "mean", "proportional", "none"] = "loo"


def accuracies(run: Run[DeepSettings], sigma: float, seed: int) -> Line:
    """Test accuracy by stage of one draw."""
    settings = run.settings
    digits = mnist(run.data, settings.n, seed=seed, download=run.download)
    generator = np.random.default_rng(seed)

    def noisy(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return noisy_digits(settings.n, sigma=sigma, generator=generator, digits=(x[:, 0], y))

    (x, y), (x_test, y_test) = noisy(digits.x_train, digits.y_train), noisy(digits.x_test, digits.y_test)
    model = DeepConvRFMClassifier(
        kernel_family,
        depth=len(STAGES) - 1,
        n_filters=settings.n_filters,
        n_iterations=settings.n_iterations,
        centering=None if settings.centering == "none" else settings.centering,
        agop_samples=min(200, settings.n),
        device=run.device,
        random_state=seed,
        verbose=run.verbose,
    ).fit(x, y)
    return {
        "accuracies": [float((predicted == y_test).mean()) for predicted in model.staged_predict(x_test)],
        "kept": model.best_iterations_,
        "centerings": model.centerings_,
        "history": model.history_,
    }


def plan(run: Run[DeepSettings]) -> Iterator[Step]:
    """A step for every draw, both noise levels of a seed together."""
    for seed in range(run.seed, run.seed + run.settings.seeds):
        for sigma in run.settings.sigmas:
            yield Step({"sigma": sigma, "seed": seed}, partial(accuracies, run, sigma, seed))


def conclude(run: Run[DeepSettings], lines: Sequence[Line]) -> Finding:
    """Means over draws, and gains draw by draw."""
    settings = run.settings
    draws = {
        sigma: np.array([line["accuracies"] for line in lines if line["sigma"] == sigma]).T for sigma in settings.sigmas
    }
    rows, ordered = [], list[bool | None]()
    for sigma, stages in draws.items():
        fixed, shallow, *_, deep = stages
        gains = shallow - fixed, deep - shallow
        cells = [mean_with_interval(100 * values) for values in (*stages, *gains)]
        rows.append([f"{sigma:g}", stages.shape[1], *cells])
        ordered += [above_zero(gain) for gain in gains]
    deeper = [f"{100 * (stages[-1] - stages[1]).mean():.1f}" for stages in draws.values()]
    scores = {name: np.array([stages[number] for stages in draws.values()]) for number, name in enumerate(STAGES)}
    return Finding(
        verdict=Verdict.of(ordered),
        ours=f"Deep ConvRFM is {' and '.join(deeper)} points above ConvRFM on average, at sigma "
        f"{' and '.join(f'{sigma:g}' for sigma in settings.sigmas)}; ConvRFM is above the fixed kernel by more than the "
        f"95% interval at {ordered[::2].count(True)} of {len(draws)} noise levels, and Deep ConvRFM above ConvRFM at "
        f"{ordered[1::2].count(True)}.",
        header=("sigma", "draws", *STAGES, "ConvRFM: gain", "Deep ConvRFM: gain over ConvRFM"),
        rows=rows,
        caption=f"Test accuracy in per cent, n = {settings.n} for training and as many for testing; "
        f"{means_over(settings.seeds)}, gains draw by draw.",
        sections=[
            Section("By noise level").figure(
                plot_levels(settings.sigmas, scores, xlabel="sigma of the noise"),
                caption=f"Test accuracy by stage; {means_over(settings.seeds)}.",
                alt="Line chart of test accuracy by noise level, from the fixed kernel to Deep ConvRFM.",
                name="levels",
            )
        ],
        numbers={"accuracies": {f"{sigma:g}": stages.T.tolist() for sigma, stages in draws.items()}},
    )


EXPERIMENT = Experiment(
    name="deep-noisy-mnist",
    title="Noisy MNIST: deeper is better",
    claim="On MNIST digits in noise Deep ConvRFM is above ConvRFM, and ConvRFM above the fixed kernel.",
    published="Fig. 5B of the paper: up to 5 points between Deep ConvRFM and ConvRFM.",
    settings={
        Scale.SMOKE: DeepSettings(n=40, seeds=2, n_filters=4, n_iterations=1),
        Scale.LAPTOP: DeepSettings(n=1000),
        Scale.FULL: DeepSettings(),
    },
    minutes={Scale.SMOKE: 0.3, Scale.LAPTOP: 40, Scale.FULL: 130},
    plan=plan,
    conclude=conclude,
    data=WANTED,
)
