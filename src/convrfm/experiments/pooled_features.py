"""Pooled random features and few training images: what whitening, patches as filters, flips and a learned metric add."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from ..estimators import ConvRFMClassifier, DeepConvRFMClassifier
from ..kernels import NNGP, NTK, Architecture, AvgPool, Conv, Flatten, ReLU, vanilla
from ..kernels.integers import positive_integer
from ..plots import plot_levels
from ..report import Section
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .scale import Scale
from .settings import refuse_others
from .small_data.images import CLASSES, WANTED, DataSet, LabeledImages, data_set
from .small_data.methods import Measured, accuracy, tested
from .small_data.plan import Stage, Trial, trials
from .small_data.summary import Results, Summary, difference, measured, summary

SHRINKAGES = (0.0, 0.5, 0.9)
MOST_IN_FOLDS = 10_000  # images; an update with more is judged by the held-out ones, for a fifth of the cost
FIXED: dict[str, Any] = {"n_iterations": 0}
LEARNED: dict[str, Any] = {"n_iterations": 1, "cv": 5, "shrinkage": SHRINKAGES}
WHITENED: dict[str, Any] = {"initial_metric": "whitening"}
PATCHES = FIXED | WHITENED | {"first_filters": "patches"}
METHODS: Mapping[str, dict[str, Any]] = {
    "identity": FIXED,
    "learned from identity": LEARNED,
    "whitening": FIXED | WHITENED,
    "learned from whitening": LEARNED | WHITENED,
    "whitening, patches": PATCHES,
    "whitening, patches, flips": PATCHES | {"augment": ("flip",)},
}
UNCHANGED = tuple(name for name, settings in METHODS.items() if settings["n_iterations"] == 0)
DEEP, EXACT = "deep, learned from identity", "exact pooled NTK"
OTHERS = (DEEP, EXACT)
TOLD = {
    DEEP: "Deep: 64 features of the patches, drawn from the M that was learned, and a second layer of 3 x 3 patches of these; "
    "folds learn both layers. ",
    EXACT: "Exact: the NTK of the paper's network of depth 5 with global average pooling, ridge by leave-one-out. ",
}
UPDATES = {"learned from identity": "identity", "learned from whitening": "whitening"}
FIGURES = ("test", "judged", "left_out", "held_out")
SIZES = (160, 640)
SMALL = 16  # pixels: below, patches are of side 3


@dataclass(frozen=True)
class PooledFeaturesSettings:
    """Which data sets and trials, how many random filters and how many test images (or half of those that there are)."""

    data_sets: tuple[str, ...] = ("CIFAR-10",)
    stages: tuple[Stage, ...] = (Stage(tuple(METHODS), (160,), seeds=3),)
    n_features: int = 1024
    n_test: int = 2000


def pooled(side: int, q: int) -> NNGP:
    """The arc-cosine kernel of one convolution whose positions are averaged in the four quarters of images of this side."""
    return NNGP(Architecture(Conv(q), ReLU(), AvgPool((side - q + 1) // 2), Flatten()))


def fitted(train: LabeledImages, data: DataSet, seed: int, method: str, n_features: int, device: str) -> Measured:
    """One fit, and what it is worth on test images and on held-out ones."""
    settings: dict[str, Any] = {"random_state": seed, "device": device}
    if method == EXACT:
        return exact(train, data, **settings)
    side = train.x.shape[-1]
    q = 3 if side < SMALL else 6
    settings |= {"solver": "features", "n_features": n_features, "patch_normalization": "contrast"}
    if method == DEEP:
        kernels = {2: pooled(side, q), 1: pooled(side - q + 1, 3)}
        deep = DeepConvRFMClassifier(kernels.__getitem__, depth=2, **settings, **LEARNED).fit(train.x, train.y)
        return tested(deep, data) | roc_area(deep, data.test) | kept_of(deep, data)
    settings |= METHODS[method]
    selection = None
    if "cv" in settings and len(train.y) > MOST_IN_FOLDS:
        settings |= {"cv": None, "choose_on": "selection"}
        selection = data.held_out.x, data.held_out.y
    model = ConvRFMClassifier(pooled(side, q), **settings).fit(train.x, train.y, selection=selection)
    return tested(model, data) | roc_area(model, data.test) | kept_of(model, data) | {"round": model.best_iteration_}


def kept_of(model: ConvRFMClassifier | DeepConvRFMClassifier, data: DataSet) -> Measured:
    """Leave-one-out accuracy and shrinkage of the last layer's kept round, and accuracy on held-out images."""
    kept = model.layers_[-1].kept
    assert kept.loo.accuracy is not None
    held_out = accuracy(model.predict_proba(data.held_out.x), data.held_out)
    return {"held_out": held_out, "left_out": kept.loo.accuracy, "shrinkage": kept.shrinkage}


def exact(train: LabeledImages, data: DataSet, **settings: Any) -> Measured:
    """The NTK of the paper's network of depth 5 with global average pooling, whose every pair costs milliseconds.

    On test images alone.
    """
    model = ConvRFMClassifier(NTK(vanilla(5, pooling="global")), n_iterations=0, **settings).fit(train.x, train.y)
    return tested(model, data) | roc_area(model, data.test)


def roc_area(model: ConvRFMClassifier | DeepConvRFMClassifier, images: LabeledImages) -> Measured:
    """Of two classes the area under the ROC curve, of more of them nothing."""
    if len(model.classes_) != 2:
        return {}
    return {"roc_area": float(roc_auc_score(images.y, model.decision_function(images.x)))}


def plan(run: Run[PooledFeaturesSettings]) -> Iterator[Step]:
    """A step for every trial."""
    positive_integer("n_test", run.settings.n_test)
    refuse_others("data_sets", run.settings.data_sets, CLASSES)
    for stage in run.settings.stages:
        refuse_others("methods of stages", stage.methods, (*METHODS, *OTHERS))
    classes = {name: CLASSES[name] for name in run.settings.data_sets}
    for trial in trials(run.settings.stages, classes, run.seed):
        yield Step(trial._asdict(), partial(computed, run, trial))


def computed(run: Run[PooledFeaturesSettings], trial: Trial) -> Line:
    """One fit."""
    data = data_set(trial.data, Path(run.data or "."), run.settings.n_test)
    images = data.training_images(trial.n, trial.seed)
    return fitted(images, data, trial.seed, trial.method, run.settings.n_features, run.device)


def conclude(run: Run[PooledFeaturesSettings], lines: Sequence[Line]) -> Finding:
    """What each method adds to the identity and to whitening, draw by draw, and what an update adds to what it began with."""
    results: Results = {Trial(*(line[name] for name in Trial._fields)): _numbers(line) for line in lines}
    rows, gains, told, layers = [], [], [], list[str]()
    for name, n in dict.fromkeys((trial.data, trial.n) for trial in results):
        of = partial(measured, results, name, n)
        rows += [[name, n, method, *_cells(of, method)] for method in (*METHODS, *OTHERS) if of(method, "test")]
        for method, start in UPDATES.items():
            gain = difference(of(method, "test"), of(start, "test"))
            if gain is not None:
                gains.append(at_least_as_good(gain))
                told.append(f"{name}, n = {n}, {method}: {gain}")
        deeper = difference(of(DEEP, "test"), of("learned from identity", "test"))
        if deeper is not None:
            layers.append(f"{name}, n = {n}: {deeper}")
    return Finding(
        verdict=Verdict.of(gains),
        ours=f"points that the update adds, on the same draws: {'; '.join(told) or 'not run'}."
        + (f" Points that a second layer adds to the first with its update: {'; '.join(layers)}." if layers else ""),
        header=HEADER,
        rows=rows,
        caption="Per cent, means over draws of the training images, of three or more with Student's 95% intervals; "
        f"{run.settings.n_features} random filters of 6 x 6 patches of one contrast (3 x 3 of images below 16 pixels), ReLU, "
        "averages over 2 x 2 quarters. Learned: one update "
        f"of M, of which 5 folds, each with an M of its own, choose shrinkage ({', '.join(map(str, SHRINKAGES))}), "
        f"ridge and whether it is kept (with more than {MOST_IN_FOLDS} images the held-out ones choose); judged is theirs, of "
        "the others by leave-one-out. Patches: whitened training patches in place of Gaussian filters. Flips: features "
        "averaged over an image and its mirror image. "
        + "".join(TOLD[method] for method in OTHERS if any(trial.method == method for trial in results))
        + f"At most {run.settings.n_test} test images. "
        "Held out: on images of the training set that trained nothing. ROC area: of two classes, on test images. "
        "Patches of one contrast, their size, the quarters and patches as filters were found on other draws of CIFAR-10 with "
        "test accuracy in view; the other data sets had no part in that.",
        sections=[
            _by_size(results, name)
            for name in dict.fromkeys(trial.data for trial in results if trial.method in UNCHANGED)
        ],
        numbers={"updates at least as good": [gains.count(True), len(gains)]},
    )


HEADER = (
    *("data", "n", "method", "test", "judged", "leave-one-out", "held out", "ROC area"),
    *("less identity", "less whitening", "updates kept", "draws"),
)


def _cells(of: Callable[[str, str], dict[int, float]], method: str) -> Iterator[object]:
    """One method's row, without what it does not have."""
    test, rounds = of(method, "test"), of(method, "round")
    found: list[object] = [summary(of(method, figure).values()) for figure in (*FIGURES, "roc_area")]
    found += [None if other == method else difference(test, of(other, "test")) for other in ("identity", "whitening")]
    found.append(f"{sum(rounds.values()):.0f} of {len(rounds)}" if method in UPDATES else None)
    yield from ("-" if cell is None else cell for cell in found)
    yield len(test)


def _numbers(line: Line) -> Measured:
    """All that one trial measured."""
    return {name: float(line[name]) for name in (*FIGURES, "round", "roc_area") if name in line}


def at_least_as_good(gain: Summary) -> bool | None:
    """Whether a mean difference is not below 0 by its interval; None where that holds both signs, or there is none."""
    low, high = gain.mean - gain.half_width, gain.mean + gain.half_width
    return True if low >= 0 else False if high < 0 else None


def _by_size(results: Results, name: str) -> Section:
    """Every method's accuracy by the number of training images."""
    sizes = sorted({trial.n for trial in results if trial.data == name})
    scores = {
        method: [np.array([*measured(results, name, n, method, "test").values()]) for n in sizes]
        for method in UNCHANGED
    }
    return Section(name).figure(
        plot_levels(
            sizes, {method: of for method, of in scores.items() if any(map(len, of))}, xlabel="training images"
        ),
        caption="Test accuracy without updates; means over draws, of three or more with Student's 95% intervals.",
        alt=f"Line chart of test accuracy on {name} by number of training images, without updates of M.",
        name=name.lower(),
    )


EXPERIMENT = Experiment(
    name="pooled-features",
    title="Pooled random features of photographs",
    claim="With pooled random features of photographs an update of M that folds may shrink or refuse is at least as good as "
    "the M it began with: the identity, or whitening.",
    published="nothing; this is a study of this project's, on the draws of small-data.",
    settings={
        Scale.SMOKE: PooledFeaturesSettings(("digits",), (Stage(tuple(METHODS), (60,), seeds=2),), n_features=32),
        Scale.LAPTOP: PooledFeaturesSettings(),
        Scale.FULL: PooledFeaturesSettings(
            ("CIFAR-10", "GTSRB", "Fashion-MNIST", "PneumoniaMNIST"),
            (
                Stage((*METHODS, EXACT), SIZES[:1], seeds=10, data=("CIFAR-10",)),
                Stage(tuple(METHODS), SIZES[1:], seeds=10, data=("CIFAR-10",)),
                Stage((EXACT,), SIZES[1:], seeds=2, data=("CIFAR-10",)),
                Stage(tuple(METHODS), SIZES, seeds=5, data=("Fashion-MNIST", "PneumoniaMNIST")),
                Stage(UNCHANGED, SIZES[:1], seeds=5, data=("GTSRB",)),
                Stage(tuple(METHODS), SIZES[1:], seeds=5, data=("GTSRB",)),
                Stage((DEEP,), SIZES[1:], seeds=5),
                Stage(tuple(METHODS), (5000,), seeds=5, data=("CIFAR-10", "GTSRB", "Fashion-MNIST")),
                Stage(tuple(METHODS), (49000,), seeds=3, data=("CIFAR-10",)),
            ),
        ),
    },
    minutes={Scale.SMOKE: 0.2, Scale.LAPTOP: 15, Scale.FULL: 4800},
    plan=plan,
    conclude=conclude,
    data=f"{WANTED[:-1]}, and medmnist/pneumoniamnist_small.npz.",
)
