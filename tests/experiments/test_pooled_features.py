"""Every method is fitted on the same draws, and gains are taken seed by seed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from convrfm import ConvRFMClassifier
from convrfm.experiments import pooled_features
from convrfm.experiments.experiment import Finding, Run, Verdict
from convrfm.experiments.scale import Scale
from convrfm.experiments.small_data.images import DataSet, LabeledImages, data_set
from convrfm.experiments.small_data.plan import Stage
from convrfm.kernels import NTK, vanilla

SETTINGS = pooled_features.PooledFeaturesSettings(
    ("digits",), (Stage(tuple(pooled_features.METHODS), (20,), seeds=3),), n_features=8
)
RUN = Run(SETTINGS, Scale.SMOKE, seed=0, device="auto", data=None, files=Path())


def test_a_fit_is_judged_by_folds_only_where_m_is_learned() -> None:
    data = data_set("digits", Path())
    images = data.training_images(60, 0)
    whitened, learned = (
        pooled_features.fitted(images, data, 0, name, 8, "cpu") for name in ("whitening", "learned from whitening")
    )
    assert whitened["judged"] == whitened["left_out"]
    assert whitened["round"] == whitened["shrinkage"] == 0
    assert learned["round"] in (0, 1)
    assert learned["judged"] != learned["left_out"]


def found(run: Run[pooled_features.PooledFeaturesSettings], *gains: float) -> Finding:
    """Of updates that are so much above what they began with, draw by draw, and an identity ten points below whitening."""
    whitening = (0.3, 0.5, 0.4, *[0.4] * 7)
    lines = []
    for step in pooled_features.plan(run):
        method, seed = step.at["method"], step.at["seed"]
        gain = gains[seed] if method in pooled_features.UPDATES else 0.0
        kept = dict.fromkeys(("judged", "left_out", "held_out", "shrinkage"), 0.5) | {"round": int(seed > 0)}
        lines.append({**step.at, "test": whitening[seed] - 0.1 * ("identity" in method) + gain, **kept})
    return pooled_features.conclude(run, lines)


def test_gains_are_taken_seed_by_seed() -> None:
    finding = found(RUN, 0.1, 0.1, 0.1)
    assert "learned from whitening: 10.0 ± 0.0" in finding.ours
    learned = finding.rows[3]
    assert learned[2] == "learned from whitening"
    assert [str(cell) for cell in learned[8:]] == ["20.0 ± 0.0", "10.0 ± 0.0", "2 of 3", "3"]


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ((0.1, 0.1, 0.12), Verdict.HOLDS),
        ((0.0, 0.0, 0.0), Verdict.HOLDS),
        ((-0.1, -0.1, -0.12), Verdict.FAILS),
        ((0.1, -0.08, 0.0), Verdict.UNDECIDED),
    ],
)
def test_only_an_interval_on_one_side_of_zero_decides(gains: tuple[float, ...], verdict: Verdict) -> None:
    assert found(RUN, *gains).verdict is verdict


def test_two_draws_decide_nothing() -> None:
    stages = (Stage(tuple(pooled_features.METHODS), (20,), seeds=2),)
    finding = found(replace(RUN, settings=replace(SETTINGS, stages=stages)), 0.1, 0.1)
    assert finding.verdict is Verdict.UNDECIDED
    assert str(finding.rows[3][8]) == "20.0"


def test_methods_that_were_not_run_have_no_row_and_no_gain() -> None:
    stages = (Stage(("identity", "whitening"), (20,), seeds=3),)
    finding = found(replace(RUN, settings=replace(SETTINGS, stages=stages)), 0.1, 0.1, 0.1)
    assert [row[2] for row in finding.rows] == ["identity", "whitening"]
    assert finding.verdict is Verdict.UNTESTED


def of_two_classes(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x[y < 2], y[y < 2]


def test_two_classes_have_a_roc_area_and_more_of_them_have_none() -> None:
    ten = data_set("digits", Path())
    two = DataSet("two", lambda part: of_two_classes(*ten.read(part)))
    assert "roc_area" not in pooled_features.fitted(ten.training_images(60, 0), ten, 0, "identity", 8, "cpu")
    found = pooled_features.fitted(two.training_images(20, 0), two, 0, "identity", 8, "cpu")
    assert 0.9 < found["roc_area"] <= 1


def of_twelve_pixels(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2))), y


@pytest.mark.parametrize("method", pooled_features.OTHERS)
def test_other_models_see_the_same_images(method: str) -> None:
    """Both learn more than nothing from six images of each class, and are judged on 50 test images."""
    digits = data_set("digits", Path())
    data = DataSet("larger digits", lambda part: of_twelve_pixels(*digits.read(part)), n_test=50)
    found = pooled_features.fitted(data.training_images(60, 0), data, 0, method, 32, "cpu")
    assert 0.3 < found["test"] < 1
    assert np.isclose(50 * found["test"], round(50 * found["test"]))


def test_what_a_second_layer_adds_is_told_draw_by_draw() -> None:
    stages = (Stage(("learned from identity", pooled_features.DEEP), (20,), seeds=3),)
    finding = found(replace(RUN, settings=replace(SETTINGS, stages=stages)), 0.1, 0.1, 0.1)
    assert "second layer adds to the first with its update: digits, n = 20: -10.0 ± 0.0" in finding.ours
    assert finding.verdict is Verdict.UNTESTED


def test_an_update_with_many_images_is_judged_by_the_held_out_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled_features, "MOST_IN_FOLDS", 59)
    data = data_set("digits", Path())
    images = data.training_images(60, 0)
    fixed, learned = (
        pooled_features.fitted(images, data, 0, name, 8, "cpu") for name in ("identity", "learned from identity")
    )
    assert fixed["judged"] == fixed["left_out"]
    assert learned["judged"] == learned["held_out"] != learned["left_out"]


@pytest.mark.parametrize("settings", pooled_features.EXPERIMENT.settings.values())
def test_every_scale_s_own_stages_come_to_a_finding(settings: pooled_features.PooledFeaturesSettings) -> None:
    """Also where sizes have different numbers of draws, and methods that others have not."""
    run = replace(RUN, settings=settings)
    kinds = {(step.at["data"], step.at["n"], step.at["method"]) for step in pooled_features.plan(run)}
    assert {tuple(row[:3]) for row in found(run, *[0.1] * 10).rows} == kinds


def test_the_area_under_the_roc_curve_is_that_of_the_outputs() -> None:
    """Of probabilities that are all but 0 and 1 many are equal."""
    generator = np.random.default_rng(0)
    y = np.arange(80) % 2
    noise = generator.standard_normal((80, 1, 4, 4)) * np.where(np.arange(80) < 40, 0.1, 3.0)[:, None, None, None]
    x = (np.where(y, 1.0, -1.0)[:, None, None, None] + noise).astype(np.float32)
    model = ConvRFMClassifier(NTK(vanilla(1)), n_iterations=0).fit(x[:40], y[:40])
    area = pooled_features.roc_area(model, LabeledImages(x[40:], y[40:]))["roc_area"]
    assert area == roc_auc_score(y[40:], model.decision_function(x[40:]))
    assert area != roc_auc_score(y[40:], model.predict_proba(x[40:])[:, 1])
