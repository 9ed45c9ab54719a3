"""Every method is fitted on the same draws, and gains are taken seed by seed."""

from dataclasses import replace
from pathlib import Path

import pytest

from convrfm.experiments import pooled_features
from convrfm.experiments.experiment import Finding, Run, Verdict
from convrfm.experiments.scale import Scale
from convrfm.experiments.small_data.images import data_set
from convrfm.experiments.small_data.plan import Stage

SETTINGS = pooled_features.PooledFeaturesSettings(
    ("digits",), (Stage(tuple(pooled_features.METHODS), (20,), seeds=3),), n_features=8
)
RUN = Run(SETTINGS, Scale.SMOKE, seed=0, device="auto", data=None, files=Path())


def test_a_fit_is_judged_by_folds_only_where_m_is_learned() -> None:
    data = data_set("digits", Path())
    images = data.training_images(60, 0)
    whitened, learned = (pooled_features.fitted(images, data, 0, name, 8) for name in ("whitening", "learned"))
    assert whitened["judged"] == whitened["left_out"]
    assert whitened["round"] == whitened["shrinkage"] == 0
    assert learned["round"] in (0, 1)
    assert learned["judged"] != learned["left_out"]


def found(run: Run[pooled_features.PooledFeaturesSettings], *gains: float) -> Finding:
    """Of a learned metric that is so much above whitening, draw by draw."""
    whitening = (0.3, 0.5, 0.4)
    lines = []
    for step in pooled_features.plan(run):
        method, seed = step.at["method"], step.at["seed"]
        gain = gains[seed] if method == "learned" else 0.0 if method == "whitening" else -0.1
        kept = dict.fromkeys(("judged", "left_out", "held_out", "shrinkage"), 0.5) | {"round": int(seed > 0)}
        lines.append({**step.at, "test": whitening[seed] + gain, **kept})
    return pooled_features.conclude(run, lines)


def test_gains_are_taken_seed_by_seed() -> None:
    finding = found(RUN, 0.1, 0.1, 0.1)
    assert "10.0 ± 0.0 points, updates kept 2 of 3" in finding.ours
    assert str(finding.rows[2][7]) == "20.0 ± 0.0"


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
    assert str(finding.rows[2][7]) == "20.0"
