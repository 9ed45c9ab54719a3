"""What a reproduced figure takes and gives: one file of this folder makes it, one entry of `reproduce.FIGURES` names it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from ..report import Section
from .run_folder import RunFolder
from .scale import Scale


@dataclass(frozen=True)
class Request:
    """What decides a figure's numbers.

    Attributes:
        scale: a run of seconds that shows that everything works, or the published sizes.
        seed: of every draw.
        device: "auto" or a torch device.
        data: a path or name for `datasets.load`, for figures that need images.
        download: whether torchvision may fetch them.
    """

    scale: Scale = Scale.FULL
    seed: int = 0
    device: str = "auto"
    data: str | None = None
    download: bool = False


@dataclass(frozen=True)
class Reproduction:
    """What was found.

    Attributes:
        results: plain values for the record.
        header: of the table that sums them up.
        rows: of that table.
        sections: of the page.
        plots: pictures, by the names of their files.
    """

    results: Any
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    sections: Sequence[Section]
    plots: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class PublishedFigure:
    """A figure of the paper, or of the work that followed it.

    Attributes:
        title: of the page.
        produce: makes it, step by step in its folder; the last argument is whether to show progress.
        data: what `--data` must name; None where the figure generates its own images.
    """

    title: str
    produce: Callable[[Request, RunFolder, bool], Reproduction]
    data: str | None = None
