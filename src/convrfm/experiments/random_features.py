"""How fast random features become their kernel: values and AGOP against the number of features, in double precision."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from sklearn.datasets import load_digits
from torch import Tensor

from ..errors import InputError
from ..kernels import NNGP, NTK, Architecture, AvgPool, Conv, Flatten, GlobalAvgPool, ReLU
from ..kernels.features import FeatureDraw, FeatureMap
from ..kernels.infinite import InfiniteWidthKernel
from ..maths.intervals import means_over
from ..maths.psd import scale_to_trace
from ..plots import plot_levels
from ..report import Section
from .experiment import Experiment, Finding, Line, Run, Step, Verdict, on_the_cpu_alone
from .scale import Scale

POOLED = Architecture(Conv(3), ReLU(), AvgPool(3), Flatten())
GLOBAL = Architecture(Conv(3), ReLU(), Conv(3), ReLU(), GlobalAvgPool())
KERNELS: dict[str, Callable[[], InfiniteWidthKernel]] = {
    "NNGP, pooled": partial(NNGP, POOLED),
    "NNGP, two layers": partial(NNGP, GLOBAL),
    "NTK, pooled": partial(NTK, POOLED),
    "NTK, two layers": partial(NTK, GLOBAL),
}
MEASURED = {"values": "kernel values", "agop": "AGOP"}
RIDGE = 1e-2  # over the largest entry of the kernel matrix
NEAR = 0.1  # how far an exponent may be from -1/2
DIGITS = 9  # of an exponent: the others are those of the machine


@dataclass(frozen=True)
class RandomFeaturesSettings:
    """Digits of 8 x 8 pixels, numbers of features, and draws of each."""

    n: int = 30
    n_features: tuple[int, ...] = (16, 64, 256, 1024)
    draws: int = 5


def images_and_targets(n: int) -> tuple[Float[Tensor, "n 1 8 8"], Float[Tensor, "n 10"]]:
    """The first n of scikit-learn's digits less their mean pixel, and one-hot labels."""
    pixels, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(np.asarray(pixels[:n])).reshape(n, 1, 8, 8) / 16
    return images - images.mean(), torch.eye(10, dtype=torch.float64)[torch.from_numpy(labels[:n])]


def errors(kernel: InfiniteWidthKernel, n: int, draw: FeatureDraw) -> Line:
    """Relative Frobenius distances, of values and of the AGOP, under the metric of one update.

    The AGOP is that of the kernel's ridge regression, and of the same coefficients of the features' inner products.
    """
    x, y = images_and_targets(n)

    def regression(M: Float[Tensor, "d d"] | None) -> tuple[Float[Tensor, "n n"], Float[Tensor, "n k"]]:
        K = kernel(x, feature_matrix=M)
        return K, torch.linalg.solve(K + RIDGE * K.max() * torch.eye(n).to(K), y)

    M = scale_to_trace(kernel.agop(x, x, regression(None)[1]), float(kernel.window.size**2))
    K, alpha = regression(M)
    agop = kernel.agop(x, x, alpha, feature_matrix=M)
    phi = FeatureMap(kernel, draw, x, M)
    values = phi(x)
    of_features = phi.agop(x, values.T @ alpha)
    return {
        "values": float((values @ values.T - K).norm() / K.norm()),
        "agop": float((of_features - agop).norm() / agop.norm()),
    }


def plan(run: Run[RandomFeaturesSettings]) -> Iterator[Step]:
    """A step for each kernel, number of features and draw, on the CPU.

    Raises:
        InputError: if there is one number of features alone, from which no error can fall.
    """
    on_the_cpu_alone(run)
    settings = run.settings
    if len(settings.n_features) < 2:
        raise InputError(
            f"n_features must be two numbers or more; got {len(settings.n_features)}. Add another, with --set."
        )
    for name, kernel in KERNELS.items():
        for n_features in settings.n_features:
            for seed in range(run.seed, run.seed + settings.draws):
                at = {"kernel": name, "n_features": n_features, "seed": seed}
                yield Step(at, partial(errors, kernel(), settings.n, FeatureDraw(n_features, seed)))


def conclude(run: Run[RandomFeaturesSettings], lines: Sequence[Line]) -> Finding:
    """The exponents with which errors fall, by kernel and by what is measured."""
    widths = run.settings.n_features

    def of(kernel: str, measure: str) -> Float[np.ndarray, "widths draws"]:
        return np.array([[v[measure] for v in lines if (v["kernel"], v["n_features"]) == (kernel, w)] for w in widths])

    found = {(kernel, measure): of(kernel, measure) for kernel in KERNELS for measure in MEASURED}
    exponents = {
        place: round(float(np.polyfit(np.log(widths), np.log(np.sqrt((drawn**2).mean(1))), 1)[0]), DIGITS)
        for place, drawn in found.items()
    }
    section = Section("Errors by the number of features").prose(
        "Where a line is parallel to the gray one, the error falls as one over the root of the number of features. The AGOP is "
        "quadratic in the features: with few of them the square of their error, which falls as one over their number, "
        "outweighs the error itself, and the lines are steeper."
    )
    for measure, label in MEASURED.items():
        section.figure(
            _picture(widths, {kernel: found[kernel, measure] for kernel in KERNELS}, label),
            caption=f"Relative error of {label}: {means_over(run.settings.draws)}; logarithmic scales.",
            alt=f"Lines of falling errors of {label} for four kernels beside a line that falls as one over the root.",
            name=measure,
        )
    return Finding(
        verdict=Verdict.of(map(_near, exponents.values())),
        ours=_told({f"{kernel}: {MEASURED[measure]}": each for (kernel, measure), each in exponents.items()}),
        header=("kernel", "of", *(f"{width} features" for width in widths), "exponent"),
        rows=[
            [
                kernel,
                MEASURED[measure],
                *(f"{error:.2g}" for error in drawn.mean(1)),
                f"{exponents[kernel, measure]:.2f}",
            ]
            for (kernel, measure), drawn in found.items()
        ],
        caption="Mean relative errors over draws, in the Frobenius norm. Pooled: one convolution and averages over 3 x 3 "
        "positions; two layers: two convolutions and an average over all positions.",
        sections=[section],
        numbers={"exponents": {f"{kernel}: {measure}": e for (kernel, measure), e in exponents.items()}},
    )


def _near(exponent: float) -> bool:
    return abs(exponent + 0.5) < NEAR


def _told(exponents: dict[str, float]) -> str:
    """Where errors fall as claimed, and how they fall elsewhere."""
    told = {name: f"{exponent:.2f} ({name})" for name, exponent in exponents.items()}
    near = [told.pop(name) for name, exponent in exponents.items() if _near(exponent)]
    claimed = f"{len(near)} of {len(exponents)} cases{': ' if near else ''}{'; '.join(near)}."
    others = f" In the others the power is {'; '.join(told.values())}." if told else ""
    return f"errors fall with the number of features to a power within {NEAR:g} of -1/2 in {claimed}{others}"


def _picture(widths: Sequence[int], by_kernel: dict[str, Float[np.ndarray, "widths draws"]], label: str) -> Axes:
    start = max(drawn[0].mean() for drawn in by_kernel.values())
    root = start * (widths[0] / np.array(widths)) ** 0.5
    return plot_levels(
        widths,
        {"as 1 / sqrt": root[:, None]} | by_kernel,
        xlabel="features",
        ylabel=f"relative error of {label}",
        scale="log",
    )


EXPERIMENT = Experiment(
    name="random-features",
    title="Random features become their kernel",
    claim="Inner products of random features converge to the values of the NNGP and the NTK, and the AGOP through them to the "
    "kernel's, with an error that falls as one over the root of their number.",
    published="nothing; this is a study of this project's.",
    settings={
        Scale.SMOKE: RandomFeaturesSettings(n=10, n_features=(16, 64, 256), draws=2),
        Scale.LAPTOP: RandomFeaturesSettings(),
        Scale.FULL: RandomFeaturesSettings(),
    },
    minutes={Scale.SMOKE: 0.1, Scale.LAPTOP: 8, Scale.FULL: 8},
    plan=plan,
    conclude=conclude,
)
