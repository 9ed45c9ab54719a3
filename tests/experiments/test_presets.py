"""The page of presets shows what was measured, and selects on what it says."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from convrfm import ConvRFMClassifier, datasets
from convrfm.experiments import presets
from convrfm.kernels import NTK, vanilla
from convrfm.maths.intervals import mean_interval

SCALE = presets.Scale(n_train=24, n_selection=12, n_test=20, depth=1, n_filters=3, n_seeds=2)
DOCS = Path(__file__).parents[2] / "docs"
BARS = presets.TASKS[0]


@pytest.fixture(scope="module")
def results() -> list[presets.Outcome]:
    return list(presets.outcomes(SCALE, [BARS]))


def test_every_settings_meets_every_seed_and_says_what_it_was_chosen_on(results: list[presets.Outcome]) -> None:
    chosen_on = {(r.deep, r.settings): r.chosen_on for r in results}
    assert len(results) == SCALE.n_seeds * len(chosen_on) == 2 * 9
    assert {name for (_, name), judge in chosen_on.items() if judge == "selection set"} == {"paper", "code-2023"}
    assert chosen_on[False, "science-2024"] == "nothing"
    assert chosen_on[True, presets.DEFAULTS] == "leave-one-out"
    assert all(len(r.kept) == (SCALE.depth if r.deep else 1) for r in results)


def test_an_outcome_is_that_of_the_preset_on_these_images(results: list[presets.Outcome]) -> None:
    data = datasets.load("bars", n_train=36, n_test=20, sigma=2.0, seed=1)
    model = ConvRFMClassifier.from_preset("paper", kernel=NTK(vanilla(1)))
    model.fit(data.x_train[:24], data.y_train[:24], selection=(data.x_train[24:], data.y_train[24:]))
    (outcome,) = (r for r in results if (r.deep, r.settings, r.seed) == (False, "paper", 1))
    assert outcome.learned == pytest.approx(model.score(data.x_test, data.y_test))
    assert outcome.kept == [model.best_iteration_]


def test_the_table_holds_means_intervals_and_differences_by_seed(results: list[presets.Outcome]) -> None:
    line = next(row for row in presets.table_of_results(results).splitlines() if row.startswith("| deep | `paper`"))
    learned, defaults = (
        100 * np.array([r.learned for r in results if r.deep and r.settings == name])
        for name in ("paper", presets.DEFAULTS)
    )
    assert f"| {learned.mean():.1f} (" in line
    if np.ptp(learned - defaults):
        low, high = mean_interval(learned - defaults)
        assert line.endswith(f"{(learned - defaults).mean():+.1f} ({low:+.1f} to {high:+.1f}) |")


def test_the_table_of_differences_is_that_of_the_presets() -> None:
    table = presets.table_of_differences()
    for line in (
        "| `agop_samples` | all training images | the first 20 | the first 20 | all training images |",
        "| `feature_power` | 0.5 | 1.0 | 0.5 | 0.5 |",
        "| `choose_on` | a selection set | a selection set | nothing is chosen | leave-one-out |",
        "| `activation` | ReLU | nothing | (not deep) | ReLU |",
        "| `centering` | nothing | nothing | (not deep) | its mean, in the best of three ways |",
    ):
        assert line in table


def test_the_page_of_the_documentation_shows_the_outcomes_beside_it() -> None:
    record = json.loads((DOCS / "presets.json").read_text())
    results = [presets.Outcome(**entry) for entry in record["outcomes"]]
    assert (DOCS / "presets.md").read_text() == presets.page(results, presets.Scale(**record["scale"]))


def test_the_command_writes_the_page_and_every_outcome(
    results: list[presets.Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "outcomes", lambda scale: iter(results))
    monkeypatch.setattr(sys, "argv", ["presets", "--out", str(tmp_path / "new" / "presets"), "--n-test", "20"])
    presets.main()
    record = json.loads((tmp_path / "new" / "presets.json").read_text())
    assert record["scale"]["n_test"] == 20
    assert [entry["learned"] for entry in record["outcomes"]] == [result.learned for result in results]
    assert presets.table_of_results(results) in (tmp_path / "new" / "presets.md").read_text()
