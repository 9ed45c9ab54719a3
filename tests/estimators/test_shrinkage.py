"""An update that stays near the metric before it, by as much as folds find best."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convrfm
from convrfm import ConvRFMClassifier
from convrfm.errors import InputError

from .cases import CHEAP, KERNEL, coefficients, next_metric, one_hot, pictures

X, Y = pictures(18)
AMOUNTS = (0.0, 0.3, 0.9)


def classifier(**settings: Any) -> ConvRFMClassifier:
    return ConvRFMClassifier(**({"kernel": KERNEL, "n_iterations": 1, "ridge": 1e-2, "keep": "last"} | settings))


def test_every_update_is_the_mean_of_what_was_learned_and_of_the_metric_before() -> None:
    model = classifier(n_iterations=2, shrinkage=0.3).fit(X, Y)
    M = np.eye(9)
    for round_ in model.layers_[0].rounds:
        np.testing.assert_allclose(round_.feature_matrix, M, atol=1e-8)
        coef = coefficients(KERNEL(X, feature_matrix=M), one_hot(Y), 1e-2)
        M = 0.7 * next_metric(KERNEL, X, X, coef, M) + 0.3 * M
    assert [record.get("shrinkage") for record in model.history_] == [None, 0.3, 0.3]


@pytest.mark.parametrize("kind", CHEAP)
def test_folds_choose_the_amount_with_which_they_are_best_and_each_learns_its_own(kind: type) -> None:
    settings = CHEAP[kind] | {"cv": 3, "keep": "last"}
    several = kind(**settings, shrinkage=AMOUNTS).fit(X, Y)
    single = {amount: kind(**settings, shrinkage=amount).fit(X, Y) for amount in AMOUNTS}

    def first_update(model: Any) -> dict[str, Any]:
        return next(record for record in model.history_ if record["iteration"] == 1) | {"seconds": 0}

    def merit(amount: float) -> tuple[float, float, float]:
        record = first_update(single[amount])
        return record.get("cv_accuracy", 0.0), -record["cv_error"], amount

    best = max(AMOUNTS, key=merit)
    assert len({merit(amount)[:2] for amount in AMOUNTS}) == 3
    assert first_update(several) == first_update(single[best])
    np.testing.assert_array_equal(
        several.layers_[0].rounds[1].feature_matrix, single[best].layers_[0].rounds[1].feature_matrix
    )


def test_a_selection_set_chooses_too_and_a_file_keeps_what_was_chosen(tmp_path: Path) -> None:
    model = classifier(shrinkage=[0.5, 0.9], choose_on="selection").fit(X, Y, selection=pictures(9, seed=4))
    assert model.history_[1]["shrinkage"] in (0.5, 0.9)
    model.save(tmp_path / "model")
    loaded = convrfm.load(tmp_path / "model")
    assert loaded.layers_[0].rounds[1].shrinkage == model.history_[1]["shrinkage"]
    assert loaded.shrinkage == (0.5, 0.9)


def test_what_cannot_be_chosen_is_said(as_a_user: None) -> None:
    for shrinkage, said in [
        ((0.0, 0.5), "leave-one-out cannot choose"),
        (1.0, "below 1"),
        (-0.1, "below 1"),
        ("half", "below 1"),
        ((), "one candidate or several"),
    ]:
        with pytest.raises(InputError, match=said):
            classifier(shrinkage=shrinkage).fit(X, Y)
