"""Every method is fitted on the same draws, and gains are taken seed by seed."""

from pathlib import Path

from convrfm.experiments import pooled_features
from convrfm.experiments.experiment import Run, Verdict
from convrfm.experiments.scale import Scale
from convrfm.experiments.small_data.images import data_set
from convrfm.experiments.small_data.plan import Stage

SETTINGS = pooled_features.PooledFeaturesSettings(
    ("digits",), (Stage(tuple(pooled_features.METHODS), (20,), seeds=2),), n_features=8
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


def test_gains_are_taken_seed_by_seed() -> None:
    values = {("whitening", 0): 0.3, ("whitening", 1): 0.5, ("learned", 0): 0.4, ("learned", 1): 0.6}
    lines = [
        {**step.at, "test": values.get((step.at["method"], step.at["seed"]), 0.2)}
        | dict.fromkeys(("judged", "left_out", "held_out", "round", "shrinkage"), 0.5)
        for step in pooled_features.plan(RUN)
    ]
    found = pooled_features.conclude(RUN, lines)
    assert found.verdict is Verdict.HOLDS
    assert "10.0 ± 0.0 points" in found.ours
    assert str(found.rows[2][7]) == "30.0 ± 127.1"
