"""`convrfm reproduce`: a published figure by its name, from nothing to a folder with record, plots and page."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from ..errors import InputError
from ..plots import house_style
from ..report import Page
from ..report.fit_sections import reproduction_section
from ..report.versions import versions
from ..storage.atomic import write_json
from . import bars, noisy_mnist, star, theorem1
from .figure import PublishedFigure, Reproduction, Request
from .run_folder import FILES, RunFolder

FIGURES: Mapping[str, PublishedFigure] = {
    "bars": bars.FIGURE,
    "noisy-mnist": noisy_mnist.FIGURE,
    "star": star.FIGURE,
    "theorem1": theorem1.FIGURE,
}


def reproduce(name: str, request: Request, out: Path, *, overwrite: bool, verbose: bool, command: str) -> Reproduction:
    """Make a figure, or continue where the same command was interrupted, and write its folder.

    Args:
        name: one of `FIGURES`.
        request: what decides its numbers.
        out: the folder.
        overwrite: whether to replace an earlier run there.
        verbose: whether to show progress.
        command: shown on the page.

    Raises:
        InputError: if there is no such figure, its data are not named, or the folder holds something else.
    """
    if name not in FIGURES:
        raise InputError(f"FIGURE must be one of {', '.join(FIGURES)}; got {name}.")
    figure = FIGURES[name]
    if figure.data and request.data is None:
        raise InputError(f"{name} needs --data: {figure.data}")
    if request.data is not None and not figure.data:
        raise InputError(f"{name} generates its own images; got --data {request.data}. Leave it out.")
    settings = {"figure": name, **asdict(request), **versions()}
    found = figure.produce(request, RunFolder(out, settings, overwrite=overwrite), verbose)
    (out / "plots").mkdir(exist_ok=True)
    for plot, drawn in found.plots.items():
        with house_style():
            drawn.savefig(out / "plots" / f"{plot}.png", dpi=200)
    record = {"figure": name, "settings": asdict(request), "versions": versions(), "results": found.results}
    write_json(out / "record.json", record)
    page = Page(figure.title, f"convrfm reproduce {name}, scale {request.scale}", list(found.sections))
    page.sections.append(reproduction_section(command, asdict(request), versions(), FILES))
    page.write(out / "report.html")
    return found
