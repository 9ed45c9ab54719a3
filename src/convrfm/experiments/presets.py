"""The published settings beside our defaults, shallow and deep.

Every seed draws training images, selection images of their own for the presets that choose on such, and test images that
only score. Our defaults are fitted twice: to the training images, and also to the selection images, which leave-one-out
does not need.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..datasets import load
from ..estimators import ConvRFMClassifier, DeepConvRFMClassifier
from ..estimators.presets import DEEP, PRESETS
from ..kernels import NTK, vanilla
from ..maths.intervals import FEWEST_REPETITIONS, above_zero, mean_with_interval, means_over
from ..plots import house_style
from ..plots.error_bars import error_bars
from ..plots.style import BLUE, PURPLE
from ..report import Section
from .experiment import Experiment, Finding, Line, Run, Step, Verdict
from .preset_differences import HEADER as DIFFERENCES_HEADER
from .preset_differences import differences
from .scale import Scale
from .settings import refuse_others

DEFAULTS = "defaults"
ALL_LABELS = "defaults, fitted to the selection images too"
TASKS: dict[str, dict[str, Any]] = {
    "bars, sigma 2": {"data": "bars", "sigma": 2.0},
    "star": {"data": "star", "sigma": None},
    "noisy digits, sigma 0.5": {"data": "noisy-digits", "sigma": 0.5},
}
HEADER = (
    "model",
    "settings",
    "chosen on",
    "fixed kernel",
    "learned",
    "gain over the fixed kernel",
    "difference to the defaults",
)


@dataclass(frozen=True)
class PresetsSettings:
    """Images of every draw, and the same network for all settings."""

    n_train: int = 100
    n_selection: int = 100
    n_test: int = 400
    depth: int = 3
    n_filters: int = 16
    seeds: int = 5
    tasks: tuple[str, ...] = tuple(TASKS)


def plan(run: Run[PresetsSettings]) -> Iterator[Step]:
    """A step for every settings on every task, seed by seed."""
    refuse_others("tasks", run.settings.tasks, TASKS)
    for task in run.settings.tasks:
        for seed in range(run.seed, run.seed + run.settings.seeds):
            for deep in (False, True):
                for settings in (*(DEEP if deep else PRESETS), DEFAULTS, ALL_LABELS):
                    at = {"task": task, "deep": deep, "settings": settings, "seed": seed}
                    yield Step(at, partial(outcome, run, task, deep, settings, seed))


def outcome(run: Run[PresetsSettings], task: str, deep: bool, settings: str, seed: int) -> Line:
    """Fit one model and score its fixed kernel and what it kept, in fractions of the test images."""
    n, m = run.settings.n_train, run.settings.n_selection
    data = load(**TASKS[task], n_train=n + m, n_test=run.settings.n_test, seed=seed)
    model = unfitted(run, deep, settings, seed)
    fitted = n + m if settings == ALL_LABELS else n
    selected = model.choose_on == "selection"
    selection = (data.x_train[n:], data.y_train[n:]) if selected else None
    model.fit(data.x_train[:fitted], data.y_train[:fitted], selection=selection)
    kept = [layer.kept.iteration for layer in model.layers_]
    stages = [float((predicted == data.y_test).mean()) for predicted in model.staged_predict(data.x_test)]
    return {
        "chosen_on": "selection set" if selected else "leave-one-out" if model.ridge == "loo" else "nothing",
        "fixed": stages[0],
        "learned": stages[-1 if deep else kept[0]],
        "kept": kept,
    }


def unfitted(
    run: Run[PresetsSettings], deep: bool, settings: str, seed: int
) -> ConvRFMClassifier | DeepConvRFMClassifier:
    """The model with these settings."""
    sizes: dict[str, Any] = {"random_state": seed, "device": run.device}
    if deep:
        sizes |= {"depth": run.settings.depth, "n_filters": run.settings.n_filters}
    else:
        sizes |= {"kernel": NTK(vanilla(run.settings.depth))}
    estimator: type[ConvRFMClassifier | DeepConvRFMClassifier] = DeepConvRFMClassifier if deep else ConvRFMClassifier
    return estimator.from_preset(settings, **sizes) if settings in PRESETS else estimator(**sizes)


def conclude(run: Run[PresetsSettings], lines: Sequence[Line]) -> Finding:
    """Whether any preset is above our defaults by more than its interval, task by task and model by model."""
    tables = {task: results_table([line for line in lines if line["task"] == task]) for task in run.settings.tasks}
    compared = [row for rows in tables.values() for row in rows if row.cells[1] in PRESETS]
    above = [row for row in compared if row.better]
    settings = run.settings
    sections = [
        Section("What they set")
        .table(DIFFERENCES_HEADER, differences(), "Parameters of the presets, from the presets themselves.")
        .prose(
            "The published code of 2023 chose ridge and round on the test images. Nothing here does: paper and code-2023 ask "
            "for a selection set, fit(x, y, selection=(x_s, y_s)), whose images are neither fitted nor scored, and history_ "
            'says judge: "selection". A trace of 1 instead of d changes nothing for a network without biases, whose kernel '
            "only scales with M; it does with biases, Erf, GELU and radial kernels. Where the AGOP takes the first 20 images, "
            "their order matters: here the classes alternate."
        )
    ]
    for task, rows in list(tables.items())[1:]:
        sections.append(Section(f"The same on {task}").table(HEADER, [row.cells for row in rows], "As above."))
    first = next(iter(tables))
    return Finding(
        verdict=Verdict.of(None if settings.seeds < FEWEST_REPETITIONS else not row.better for row in compared),
        ours=f"{len(above)} of {len(compared)} comparisons have a preset above our defaults by more than the 95% interval.",
        header=HEADER,
        rows=[row.cells for row in tables[first]],
        caption=f"{first}. {settings.n_train} training images, {settings.n_selection} selection images, {settings.n_test} test "
        f"images; NTK of depth {settings.depth}, patches of 3 x 3; deep: {settings.depth} layers, "
        f"{settings.n_filters} filters. Test accuracy in per cent: {means_over(settings.seeds, 'seed')}; the last "
        "two columns are differences seed by seed, the last one to the defaults of the same model. One in twenty such "
        "intervals misses 0 by chance. Results chosen on a selection set have used labels of that set, which the others have "
        "not: beside them stand our defaults fitted to the selection images too, with the same labels in all.",
        sections=[
            Section("By settings").figure(
                picture(lines),
                caption=f"Test accuracy of what was kept; {means_over(settings.seeds, 'seed')}.",
                alt="For each task the test accuracy of every settings, shallow and deep.",
                name="settings",
            ),
            *sections,
        ],
        numbers={"presets above the defaults": [[str(cell) for cell in row.cells] for row in above]},
    )


@dataclass(frozen=True)
class ResultsRow:
    """A line of a table of results, and whether its settings are above the defaults by more than their interval."""

    cells: Sequence[object]
    better: bool


def results_table(lines: Sequence[Line]) -> list[ResultsRow]:
    """Means over seeds of one task; differences to the defaults are taken seed by seed."""
    rows = []
    for deep in (False, True):
        of_model = [line for line in lines if line["deep"] == deep]
        defaults = _by_seed(of_model, DEFAULTS)[1]
        for settings in dict.fromkeys(line["settings"] for line in of_model):
            fixed, learned = _by_seed(of_model, settings)
            difference = learned - defaults
            chosen_on = next(line["chosen_on"] for line in of_model if line["settings"] == settings)
            cells = (
                "deep" if deep else "shallow",
                settings,
                chosen_on,
                f"{fixed.mean():.1f}",
                mean_with_interval(learned),
                mean_with_interval(learned - fixed, signed=True),
                "" if settings == DEFAULTS else mean_with_interval(difference, signed=True),
            )
            rows.append(ResultsRow(cells, above_zero(difference) is True))
    return rows


@house_style()
def picture(lines: Sequence[Line]) -> Figure:
    """What every settings reached, a panel for each task."""
    tasks = list(dict.fromkeys(line["task"] for line in lines))
    figure = Figure(figsize=(3.2 * len(tasks) + 1, 3.4), layout="constrained")
    panels = figure.subplots(1, len(tasks), squeeze=False, sharey=True)[0]
    for ax, task in zip(panels, tasks, strict=True):
        for deep, color, marker in ((False, BLUE, "o"), (True, PURPLE, "D")):
            of_model = [line for line in lines if (line["task"], line["deep"]) == (task, deep)]
            names = list(dict.fromkeys(line["settings"] for line in of_model))
            learned = [_by_seed(of_model, name)[1] for name in names]
            means, label = [values.mean() for values in learned], "deep" if deep else "shallow"
            short = [name.replace(", ", ",\n") for name in names]
            ax.errorbar(
                means, short, xerr=error_bars(learned, (0.0, 100.0)), fmt=marker, color=color, capsize=3, label=label
            )
        ax.set_title(task)
        ax.set_xlabel("test accuracy, %")
        ax.grid(axis="x")
    panels[0].legend()
    return figure


def _by_seed(lines: Sequence[Line], settings: str) -> np.ndarray:
    """Per cent of the fixed kernel and of what was kept, `(2, seeds)`."""
    return 100 * np.array([(line["fixed"], line["learned"]) for line in lines if line["settings"] == settings]).T


EXPERIMENT = Experiment(
    name="presets",
    title="Presets: the paper, its two published codes, and our defaults",
    claim="None of the published settings is better than our defaults by more than chance.",
    published="the settings themselves; they were not compared.",
    settings={
        Scale.SMOKE: PresetsSettings(24, 12, 20, depth=1, n_filters=3, seeds=2, tasks=("bars, sigma 2",)),
        Scale.LAPTOP: PresetsSettings(),
        Scale.FULL: PresetsSettings(),
    },
    minutes={Scale.SMOKE: 0.2, Scale.LAPTOP: 10, Scale.FULL: 10},
    plan=plan,
    conclude=conclude,
)
