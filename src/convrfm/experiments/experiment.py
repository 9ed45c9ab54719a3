"""What an experiment is: a claim, settings, a plan of steps, and what its steps say of the claim.

One file of this folder makes it, one line of `catalogue.py` names it; all the rest is on the one road of `reproduce.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar

from ..errors import InputError
from ..report import Section
from .scale import Scale

S = TypeVar("S")
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Run(Generic[S]):
    """One run of an experiment: all that its steps may depend on.

    Attributes:
        settings: a frozen dataclass of plain values.
        scale: which of the experiment's settings they are.
        seed: the first of the seeds of its draws.
        device: "auto" or a torch device.
        data: a path, or a name for `datasets.load`; None where the experiment generates its images.
        files: the folder for what is too large for a line: arrays and models that later steps or the page need.
        download: whether torchvision may fetch data.
        verbose: whether steps show progress.
    """

    settings: S
    scale: Scale
    seed: int
    device: str
    data: str | None
    files: Path
    download: bool = False
    verbose: bool = False


def on_the_cpu_alone(run: Run[Any]) -> None:
    """Of an experiment that is computed on the CPU: refuse other devices.

    Raises:
        InputError: if `--device` names one.
    """
    if run.device not in ("auto", "cpu"):
        raise InputError(f"this experiment is computed on the CPU; got --device {run.device}. Leave it out.")


@dataclass(frozen=True)
class Step:
    """A part of the work that an interruption does not lose.

    Attributes:
        at: what tells it from other steps, such as {"sigma": 0.5, "seed": 3}; these stand in its line too.
        compute: its numbers by name, as JSON knows them. Called only where the run has no such line.
    """

    at: Line
    compute: Callable[[], Line]


class Verdict(StrEnum):
    """What an experiment says of its claim."""

    HOLDS = "the claim holds"
    IN_PART = "the claim holds in part"
    FAILS = "the claim does not hold"
    UNDECIDED = "the run does not decide the claim"
    UNTESTED = "the claim was not put to the test"

    @classmethod
    def of(cls, holds: Iterable[bool | None]) -> "Verdict":
        """Everywhere, in some places, or nowhere; None is a place that decides nothing, untested is where there are none."""
        places = list(holds)
        if not places:
            return cls.UNTESTED
        if any(places):
            return cls.HOLDS if all(places) else cls.IN_PART
        return cls.UNDECIDED if None in places else cls.FAILS


@dataclass(frozen=True)
class Finding:
    """What was found, from the finished steps alone.

    Attributes:
        verdict: on the claim.
        ours: the numbers behind it, in a sentence.
        header: of the table that sums everything up.
        rows: of that table.
        caption: below it.
        sections: of the page, after that table.
        marked_rows: those of the table to point out.
        numbers: plain values for the record.
    """

    verdict: Verdict
    ours: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str
    sections: Sequence[Section] = ()
    marked_rows: Sequence[int] = ()
    numbers: Line = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment(Generic[S]):
    """A published figure, or a study of this project's.

    Attributes:
        name: of its command.
        title: of its page.
        claim: what it is to show, in words.
        published: the published numbers, in a sentence.
        settings: for each scale.
        minutes: how long each scale takes on two cores, about.
        plan: its steps in order.
        conclude: what the lines of finished steps say, those of the plan in its order. It computes nothing that takes long.
        data: what `--data` must name; None where it generates its own images. At scale smoke it does without.
        in_order: whether a step needs what the steps before it keep.
    """

    name: str
    title: str
    claim: str
    published: str
    settings: Mapping[Scale, S]
    minutes: Mapping[Scale, float | int]
    plan: Callable[[Run[S]], Iterable[Step]]
    conclude: Callable[[Run[S], Sequence[Line]], Finding]
    data: str | None = None
    in_order: bool = False
