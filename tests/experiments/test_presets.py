"""The comparison of presets is of what it says, and selects on what it says."""

from collections.abc import Callable

import numpy as np
import pytest

from convrfm import ConvRFMClassifier, datasets
from convrfm.experiments import presets
from convrfm.experiments.experiment import Line
from convrfm.experiments.preset_differences import differences
from convrfm.experiments.run_folder import read_lines
from convrfm.experiments.scale import Scale
from convrfm.kernels import NTK, vanilla
from convrfm.maths.intervals import mean_interval

from .conftest import SmokeRun

SETTINGS = presets.EXPERIMENT.settings[Scale.SMOKE]


@pytest.fixture
def lines(smoke_run: Callable[[str], SmokeRun]) -> list[Line]:
    return read_lines(smoke_run("presets").folder)


def test_every_settings_meets_every_seed_and_says_what_it_was_chosen_on(lines: list[Line]) -> None:
    chosen_on = {(line["deep"], line["settings"]): line["chosen_on"] for line in lines}
    assert len(lines) == SETTINGS.seeds * len(chosen_on) == 2 * 9
    assert {name for (_, name), judge in chosen_on.items() if judge == "selection set"} == {"paper", "code-2023"}
    assert chosen_on[False, "science-2024"] == "nothing"
    assert chosen_on[True, presets.DEFAULTS] == "leave-one-out"
    assert all(len(line["kept"]) == (SETTINGS.depth if line["deep"] else 1) for line in lines)


def test_an_outcome_is_that_of_the_preset_on_these_images(lines: list[Line]) -> None:
    data = datasets.load("bars", n_train=36, n_test=20, sigma=2.0, seed=1)
    model = ConvRFMClassifier.from_preset("paper", kernel=NTK(vanilla(1)))
    model.fit(data.x_train[:24], data.y_train[:24], selection=(data.x_train[24:], data.y_train[24:]))
    (outcome,) = (n for n in lines if (n["deep"], n["settings"], n["seed"]) == (False, "paper", 1))
    assert outcome["learned"] == pytest.approx(model.score(data.x_test, data.y_test))
    assert outcome["kept"] == [model.best_iteration_]


def test_the_table_holds_means_intervals_and_differences_by_seed() -> None:
    accuracies = {"paper": (0.5, 0.7, 0.9), presets.DEFAULTS: (0.5, 0.6, 0.7)}
    made = [
        {"deep": False, "settings": name, "chosen_on": "nothing", "fixed": 0.5, "learned": value}
        for name, values in accuracies.items()
        for value in values
    ]
    paper, defaults = presets.results_table([*made, *({**line, "deep": True} for line in made)])[:2]
    low, high = mean_interval(np.array([0.0, 10.0, 20.0]))
    assert paper.cells[3:] == (
        "50.0",
        "70.0 (20.3 to 119.7)",
        "+20.0 (-29.7 to +69.7)",
        f"+10.0 ({low:+.1f} to {high:+.1f})",
    )
    assert defaults.cells[-1] == ""
    assert not paper.better


def test_the_differences_are_those_of_the_presets() -> None:
    table = {row[1]: row[2:] for row in differences()}
    assert table["agop_samples"] == ["all training images", "the first 20", "the first 20", "all training images"]
    assert table["feature_power"] == ["0.5", "1.0", "0.5", "0.5"]
    assert table["choose_on"] == ["a selection set", "a selection set", "nothing is chosen", "leave-one-out"]
    assert table["activation"] == ["ReLU", "nothing", "(not deep)", "ReLU"]
    assert table["centering"] == ["nothing", "nothing", "(not deep)", "its mean, in the best of three ways"]
