"""Pooled random features and few training images: what whitening, patches as filters and a learned metric add."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ..estimators import ConvRFMClassifier
from ..kernels import NNGP, Architecture, AvgPool, Conv, Flatten, ReLU
from ..plots import plot_levels
from ..report import Section
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .scale import Scale
from .small_data.images import CLASSES, WANTED, DataSet, LabeledImages, data_set
from .small_data.methods import Measured, accuracy, tested
from .small_data.plan import Stage, Trial, trials
from .small_data.summary import Results, Summary, difference, measured, summary

SHRINKAGES = (0.0, 0.5, 0.9)
WHITENED: dict[str, Any] = {"initial_metric": "whitening", "n_iterations": 0}
METHODS: Mapping[str, dict[str, Any]] = {
    "identity": {"n_iterations": 0},
    "whitening": WHITENED,
    "learned": {"initial_metric": "whitening", "n_iterations": 1, "cv": 5, "shrinkage": SHRINKAGES},
    "whitening with patches": WHITENED | {"first_filters": "patches"},
}
FIGURES = ("test", "judged", "left_out", "held_out", "round")
SMALL = 16  # pixels: below, patches are of side 3


@dataclass(frozen=True)
class PooledFeaturesSettings:
    """Which data sets and trials, and how many random filters."""

    data_sets: tuple[str, ...] = ("CIFAR-10",)
    stages: tuple[Stage, ...] = (Stage(tuple(METHODS), (160,), seeds=3),)
    n_features: int = 1024


def fitted(train: LabeledImages, data: DataSet, seed: int, method: str, n_features: int) -> Measured:
    """One fit: patches of one contrast, a ReLU, and averages over the four quarters of the positions."""
    side = train.x.shape[-1]
    q = 3 if side < SMALL else 6
    kernel = NNGP(Architecture(Conv(q), ReLU(), AvgPool((side - q + 1) // 2), Flatten()))
    settings = METHODS[method] | {"solver": "features", "n_features": n_features, "patch_normalization": "contrast"}
    model = ConvRFMClassifier(kernel, random_state=seed, **settings).fit(train.x, train.y)
    left_out = model.layers_[0].kept.loo.accuracy
    assert left_out is not None
    return tested(model, data) | {
        "held_out": accuracy(model.predict_proba(data.held_out.x), data.held_out),
        "left_out": left_out,
        "round": model.best_iteration_,
        "shrinkage": model.layers_[0].kept.shrinkage,
    }


def plan(run: Run[PooledFeaturesSettings]) -> Iterator[Step]:
    """A step for every trial."""
    known = cache(lambda name: data_set(name, Path(run.data or ".")))

    def compute(trial: Trial) -> Line:
        data = known(trial.data)
        images = data.training_images(trial.n, trial.seed)
        return fitted(images, data, trial.seed, trial.method, run.settings.n_features)

    classes = {name: CLASSES[name] for name in run.settings.data_sets}
    for trial in trials(run.settings.stages, classes, run.seed):
        yield Step(trial._asdict(), partial(compute, trial))


def conclude(run: Run[PooledFeaturesSettings], lines: Sequence[Line]) -> Finding:
    """What each method adds to the identity, seed by seed, and what the learned metric adds to whitening."""
    results: Results = {
        Trial(*(line[name] for name in Trial._fields)): {name: float(line[name]) for name in FIGURES} for line in lines
    }
    rows, gains, told = [], [], []
    for name, n in dict.fromkeys((trial.data, trial.n) for trial in results):
        of = partial(measured, results, name, n)
        kept = dict[str, str]()
        for method in METHODS:
            cells = [summary(of(method, figure).values()) for figure in FIGURES[:4]]
            against = [difference(of(method, "test"), of(other, "test")) for other in ("identity", "whitening")]
            kept[method] = f"{sum(of(method, 'round').values()):.0f} of {len(of(method, 'round'))}"
            rows.append([name, n, method, *cells, *against, kept[method]])
        gain = difference(of("learned", "test"), of("whitening", "test"))
        assert gain is not None
        gains.append(at_least_as_good(gain))
        told.append(f"{name}, n = {n}: {gain} points, updates kept {kept['learned']}")
    return Finding(
        verdict=Verdict.of(gains),
        ours=f"the learned metric less whitening, on the same draws: {'; '.join(told)}.",
        header=(
            *("data", "n", "M", "test", "judged", "leave-one-out", "held out", "less identity", "less whitening"),
            "updates kept",
        ),
        rows=rows,
        caption="Per cent, means over seeds, of three or more with Student's 95% intervals; "
        f"{run.settings.n_features} random filters of 6 x 6 patches of one contrast (3 x 3 of images below 16 pixels), ReLU, "
        "averages over 2 x 2 quarters. Learned: one update "
        f"from whitening, of which 5 folds, each with an M of its own, choose shrinkage ({', '.join(map(str, SHRINKAGES))}), "
        "ridge and whether it is kept; judged is theirs, of the others by leave-one-out. Held out: on 1000 others.",
        sections=[_by_size(results, name) for name in run.settings.data_sets],
        numbers={"learned above whitening": [gains.count(True), len(gains)]},
    )


def at_least_as_good(gain: Summary) -> bool | None:
    """Whether a mean difference is not below 0 by its interval; None where that holds both signs, or there is none."""
    low, high = gain.mean - gain.half_width, gain.mean + gain.half_width
    return True if low >= 0 else False if high < 0 else None


def _by_size(results: Results, name: str) -> Section:
    """Every method's accuracy by the number of training images."""
    sizes = sorted({trial.n for trial in results if trial.data == name})
    scores = {
        method: np.array([list(measured(results, name, n, method, "test").values()) for n in sizes])
        for method in METHODS
    }
    return Section(name).figure(
        plot_levels(sizes, scores, xlabel="training images"),
        caption="Test accuracy; means over draws, of three or more with Student's 95% intervals.",
        alt=f"Line chart of test accuracy on {name} by number of training images: {', '.join(METHODS)}.",
        name=name.lower(),
    )


EXPERIMENT = Experiment(
    name="pooled-features",
    title="Pooled random features with few training images",
    claim="With pooled random features of photographs an update of M that folds may shrink or refuse is at least as good as "
    "whitening alone.",
    published="nothing; this is a study of this project's, on the draws of small-data.",
    settings={
        Scale.SMOKE: PooledFeaturesSettings(("digits",), (Stage(tuple(METHODS), (60,), seeds=2),), n_features=32),
        Scale.LAPTOP: PooledFeaturesSettings(),
        Scale.FULL: PooledFeaturesSettings(
            ("CIFAR-10", "GTSRB", "Fashion-MNIST"), (Stage(tuple(METHODS), (160, 640), seeds=10),)
        ),
    },
    minutes={Scale.SMOKE: 0.2, Scale.LAPTOP: 15, Scale.FULL: 480},
    plan=plan,
    conclude=conclude,
    data=WANTED,
)
