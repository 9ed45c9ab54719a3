"""What is run, and in which order: small complete tables first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

SIZES = (10, 20, 40, 80, 160, 320, 640)
MOST = SIZES[-1]  # training images of the claim; what is larger tells what the models say of themselves
SEEDS = 10
FEW = 3  # seeds of the dear methods
CHEAP = ("fixed kernel", "ConvRFM", "logistic regression", "random forest")


class Trial(NamedTuple):
    """One fit."""

    data: str
    n: int
    seed: int
    method: str


@dataclass(frozen=True)
class Stage:
    """Trials of every combination; `data` names the data sets, None for all."""

    methods: tuple[str, ...]
    sizes: tuple[int, ...]
    seeds: int = SEEDS
    data: tuple[str, ...] | None = None


TEN_CLASSES = ("CIFAR-10", "USPS", "Fashion-MNIST")  # with GTSRB's 43 classes folds take several times as long
PLAN = (
    Stage(CHEAP, SIZES),
    Stage(("CNN", "Deep ConvRFM"), SIZES[:4]),
    Stage(("CNN",), SIZES[4:5], FEW),
    Stage(("Deep ConvRFM",), SIZES[4:]),
    Stage(("fixed kernel", "ConvRFM"), (1000,), FEW, ("CIFAR-10",)),
    Stage(("ConvRFM, cv=5",), (160, 640), FEW, TEN_CLASSES),
)
QUICK = (Stage(CHEAP, SIZES[:3], 2),)


def trials(plan: Sequence[Stage], classes: Mapping[str, int], first_seed: int) -> Iterator[Trial]:
    """Every trial, stage by stage and within one seed by seed; sizes below the number of classes are left out.

    Args:
        plan: the stages.
        classes: how many classes each data set has.
        first_seed: the seeds are this one and those after it.
    """
    for stage in plan:
        for name, n_classes in classes.items():
            if stage.data is None or name in stage.data:
                sizes = [n for n in stage.sizes if n >= n_classes]
                yield from (
                    Trial(name, n, seed, method)
                    for seed in range(first_seed, first_seed + stage.seeds)
                    for n in sizes
                    for method in stage.methods
                )
