"""Accuracy against the number of training images, from 10 on, beside a CNN, logistic regression and a random forest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..experiment import Experiment, Finding, Line, Run, Step, Verdict
from ..scale import Scale
from ..settings import refuse_others
from .images import CLASSES, WANTED, data_set
from .methods import METHODS
from .plan import PLAN, QUICK, Stage, Trial, trials
from .sections import ACCURACIES, ACCURACY_HEADER, accuracies, sections
from .summary import Results, difference, measured, sizes


@dataclass(frozen=True)
class SmallDataSettings:
    """Which data sets, and which trials of each."""

    data_sets: tuple[str, ...] = ("CIFAR-10", "GTSRB", "USPS", "Fashion-MNIST")
    stages: tuple[Stage, ...] = PLAN


def plan(run: Run[SmallDataSettings]) -> Iterator[Step]:
    """A step for every trial."""
    refuse_others("data_sets", run.settings.data_sets, CLASSES)
    for stage in run.settings.stages:
        refuse_others("methods of stages", stage.methods, METHODS)
    classes = {name: CLASSES[name] for name in run.settings.data_sets}
    for trial in trials(run.settings.stages, classes, run.seed):
        yield Step(trial._asdict(), partial(computed, run, trial))


def computed(run: Run[SmallDataSettings], trial: Trial) -> Line:
    """One fit of one method."""
    data = data_set(trial.data, Path(run.data or "."))
    return METHODS[trial.method](data.training_images(trial.n, trial.seed), data, trial.seed, run.device)


def conclude(run: Run[SmallDataSettings], lines: Sequence[Line]) -> Finding:
    """Whether ConvRFM is at least as accurate as its fixed kernel, and as the CNN, data set by data set and size by size."""
    results = {Trial(*(line[name] for name in Trial._fields)): _measured(line) for line in lines}
    gains = _gains(results, "ConvRFM", "fixed kernel")
    beside_cnn = _gains(results, "ConvRFM", "CNN")
    told = (
        f"ConvRFM is at least as accurate as its fixed kernel in {sum(gains)} of {len(gains)} comparisons of a data set and "
        "an n"
    )
    if beside_cnn:
        told += f", and as the CNN in {sum(beside_cnn)} of {len(beside_cnn)}"
    return Finding(
        verdict=Verdict.of([*gains, *beside_cnn]),
        ours=f"{told} (means over the seeds that both have).",
        header=ACCURACY_HEADER,
        rows=accuracies(results),
        caption=ACCURACIES,
        sections=sections(results),
        numbers={
            "at least as accurate as the fixed kernel": [sum(gains), len(gains)],
            "at least as accurate as the CNN": [sum(beside_cnn), len(beside_cnn)],
        },
    )


def _measured(line: Line) -> dict[str, float]:
    return {name: value for name, value in line.items() if name not in ("commit", "versions", *Trial._fields)}


def _gains(results: Results, method: str, other: str) -> list[bool]:
    """Whether one method's mean is not below the other's, wherever both were run and the claim is about."""
    data_sets = dict.fromkeys(trial.data for trial in results)
    places = [(name, n) for name in data_sets for n in sizes(results, name)]
    found = [difference(*(measured(results, *place, name, "test") for name in (method, other))) for place in places]
    return [gain.mean >= 0 for gain in found if gain is not None]


EXPERIMENT = Experiment(
    name="small-data",
    title="Few training images",
    claim="With 10 to 640 training images ConvRFM is at least as accurate as its own fixed kernel, and as a CNN of the "
    "paper's form.",
    published="nothing; this is a study of this project's.",
    settings={
        Scale.SMOKE: SmallDataSettings(("digits",), QUICK),
        Scale.LAPTOP: SmallDataSettings(("USPS",), (Stage(PLAN[0].methods, PLAN[0].sizes[:5], seeds=5),)),
        Scale.FULL: SmallDataSettings(),
    },
    minutes={Scale.SMOKE: 0.5, Scale.LAPTOP: 5, Scale.FULL: 215},
    plan=plan,
    conclude=conclude,
    data=WANTED,
)
