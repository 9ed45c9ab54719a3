"""Fits on random features: one road with exact fits, of which they are a sample."""

from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import convrfm
from convrfm import ConvRFMClassifier, ConvRFMRegressor, kernels
from convrfm.errors import InputError
from convrfm.estimators.ahead import choosing, outlook
from convrfm.estimators.solving.feature_solver import Features
from convrfm.kernels.features import FeatureDraw, FeatureMap
from convrfm.solvers import streamed

from .cases import CHEAP, one_hot, pictures

POOLED = kernels.NNGP(kernels.Architecture(kernels.Conv(3), kernels.ReLU(), kernels.AvgPool(2), kernels.Flatten()))
every_estimator = pytest.mark.parametrize("estimator", CHEAP)


def classifier(**settings: Any) -> ConvRFMClassifier:
    return ConvRFMClassifier(
        **({"kernel": POOLED, "n_iterations": 1, "solver": "features", "n_features": 24} | settings)
    )


def any_estimator(estimator: type, **settings: Any) -> Any:
    return estimator(**(CHEAP[estimator] | {"solver": "features", "n_features": 6} | settings))


@pytest.mark.parametrize("n_features", [2, 24], ids=["primal", "dual"])
def test_a_round_is_ridge_regression_on_the_features_and_the_next_metric_is_its_agop(n_features: int) -> None:
    x, y = pictures(20)
    model = classifier(n_features=n_features, ridge=1e-2, keep="last").fit(x, y)
    images = torch.from_numpy(x)
    M = None
    for round_ in model.layers_[0].rounds:
        phi = FeatureMap(POOLED, FeatureDraw(n_features, 0), images, M)
        values = phi(images)
        scale = values.square().sum(1).max()
        A = values.T @ values / scale + 1e-2 * torch.eye(phi.n_columns)
        coef = torch.linalg.solve(A, values.T @ torch.from_numpy(one_hot(y)) / scale)
        torch.testing.assert_close(round_.coef, coef)
        gradients = phi.gradients(images, coef).whole()
        agop = torch.einsum("nkpd,nkpe->de", gradients, gradients)
        M = agop * len(agop) / agop.trace()
        torch.testing.assert_close(model.fitted_.outputs(images, model.stages_[round_.iteration]), values @ coef)
    np.testing.assert_allclose(model.feature_matrix_ @ np.eye(9), model.layers_[0].rounds[1].feature_matrix)


def test_with_many_features_a_fit_is_all_but_the_exact_one() -> None:
    x, y = pictures(24)
    exact = ConvRFMClassifier(POOLED, n_iterations=1, ridge=1e-1, keep="last").fit(x, y)
    sampled = classifier(n_features=1000, ridge=1e-1, keep="last").fit(x, y)
    other, _ = pictures(8, seed=5)
    np.testing.assert_allclose(sampled.decision_function(other), exact.decision_function(other), atol=0.12)
    difference = np.linalg.norm(sampled.feature_matrix_ - exact.feature_matrix_) / np.linalg.norm(exact.feature_matrix_)
    assert difference < 0.2


@every_estimator
def test_a_fit_is_the_same_again_and_after_a_file(estimator: type, tmp_path: Path) -> None:
    x, y = pictures(12)
    model = any_estimator(estimator).fit(x, y)
    again = any_estimator(estimator).fit(x, y)
    np.testing.assert_array_equal(model.coef_, again.coef_)
    model.save(tmp_path / "model")
    loaded = convrfm.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    assert (loaded.solver, loaded.n_features, loaded.fitted_.solver) == ("features", 6, model.fitted_.solver)
    other = any_estimator(estimator, random_state=1).fit(x, y)
    assert not np.array_equal(other.coef_, model.coef_)


@every_estimator
def test_folds_groups_and_weights_choose_on_the_same_road(estimator: type) -> None:
    x, y = pictures(12)
    model = any_estimator(estimator, cv=2, ridge=(1e-2, 1.0)).fit(x, y, 1.0 + y, groups=np.arange(12) // 2)
    assert {record["judge"] for record in model.history_} == {"cv"}
    assert [at["ridge"] for at in model.history_[0]["path"]] == [1e-2, 1.0]


def test_without_a_seed_a_loaded_model_still_knows_its_draw(tmp_path: Path) -> None:
    x, y = pictures(12)
    model = classifier(random_state=None).fit(x, y)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(convrfm.load(tmp_path / "model").decision_function(x), model.decision_function(x))


def test_warm_start_adds_rounds_to_the_same_draw_only() -> None:
    x, y = pictures(12)
    model = classifier(n_iterations=0).fit(x, y).set_params(n_iterations=1, warm_start=True).fit(x, y)
    np.testing.assert_array_equal(model.coef_, classifier().fit(x, y).coef_)
    for name, other in (("n_features", 25), ("first_filters", "patches"), ("augment", ("flip",)), ("random_state", 5)):
        with pytest.raises(InputError, match=f"same draw of features.*{name}"):
            copy(model).set_params(**{name: other}).fit(x, y)


class KilledError(Exception):
    """As by kill -9."""


WHOLE_CALL = FeatureMap.__call__


def killed_after(batches: int, seen: list[int]) -> Callable[[FeatureMap, torch.Tensor], torch.Tensor]:
    """Features that end the process after so many batches, whose sizes are written down."""

    def call(self: FeatureMap, images: torch.Tensor) -> torch.Tensor:
        if len(seen) == batches:
            raise KilledError
        seen.append(len(images))
        return WHOLE_CALL(self, images)

    return call


def test_an_interrupted_round_goes_on_from_the_sums_that_were_kept_and_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamed, "KEPT_EVERY", 0.0)
    x, y = pictures(40)
    kernel = kernels.NNGP(POOLED.architecture, memory_budget=48_000)  # eight images at a time, with 17 ridges
    settings: dict[str, Any] = {"kernel": kernel, "n_features": 3, "tile_folder": str(tmp_path / "sums")}
    whole = classifier(**settings | {"tile_folder": None}).fit(x, y)
    monkeypatch.setattr(choosing, "REMEMBERING", 0.0)
    seen: list[int] = []
    # Five batches pass twice: killed among the sums, then in the second pass; at last that pass, and both of round 1.
    for batches, expected in [(3, 3), (6, 6), (100, 5 + 10)]:
        seen.clear()
        monkeypatch.setattr(FeatureMap, "__call__", killed_after(batches, seen))
        model = classifier(**settings)
        try:
            model.fit(x, y)
        except KilledError:
            assert len(list((tmp_path / "sums").glob("sums-*"))) == 1
        assert len(seen) == expected
    np.testing.assert_array_equal(model.coef_, whole.coef_)
    np.testing.assert_array_equal(model.feature_matrix_, whole.feature_matrix_)
    assert not list((tmp_path / "sums").iterdir())
    assert Features(FeatureDraw(3, 0)) == model.fitted_.solver


def test_sums_over_other_groups_are_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups decide which images are in which batch."""
    monkeypatch.setattr(streamed, "KEPT_EVERY", 0.0)
    x, y = pictures(40)
    kernel = kernels.NNGP(POOLED.architecture, memory_budget=8 * 12 * 8)
    settings: dict[str, Any] = {"kernel": kernel, "n_features": 3, "n_iterations": 0}
    neighbors, apart = np.arange(40) // 2, np.arange(40) % 20
    expected = classifier(**settings).fit(x, y, groups=apart)
    model = classifier(**settings, tile_folder=str(tmp_path / "sums"))
    monkeypatch.setattr(FeatureMap, "__call__", killed_after(3, []))
    with pytest.raises(KilledError):
        model.fit(x, y, groups=neighbors)
    monkeypatch.setattr(FeatureMap, "__call__", WHOLE_CALL)
    np.testing.assert_array_equal(model.fit(x, y, groups=apart).coef_, expected.coef_)


def test_sums_of_another_version_are_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may draw other features."""
    monkeypatch.setattr(streamed, "KEPT_EVERY", 0.0)
    monkeypatch.setattr(choosing, "REMEMBERING", 0.0)
    x, y = pictures(40)
    kernel = kernels.NNGP(POOLED.architecture, memory_budget=48_000)
    model = classifier(kernel=kernel, n_features=3, n_iterations=0, tile_folder=str(tmp_path / "sums"))
    monkeypatch.setattr(FeatureMap, "__call__", killed_after(3, []))
    with pytest.raises(KilledError):
        model.fit(x, y)
    seen: list[int] = []
    monkeypatch.setattr(FeatureMap, "__call__", killed_after(100, seen))
    monkeypatch.setattr("convrfm.estimators.solving.feature_solver.version", lambda name: "99")
    model.fit(x, y)
    assert len(seen) == 10


def test_a_metric_is_not_learned_of_equal_targets() -> None:
    x, _ = pictures(40)
    model = ConvRFMRegressor(POOLED, solver="features", n_features=3, n_iterations=1)
    with pytest.raises(InputError, match="all targets are equal"):
        model.fit(x, np.full(40, 0.1))


def test_memory_is_that_of_the_smaller_side_and_a_lack_of_it_is_said(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    x, y = pictures(12)
    classifier(verbose=True).fit(x, y)
    assert "less than a minute and" in capfd.readouterr().err
    monkeypatch.setattr(outlook, "free_bytes", lambda device: 1000)
    with pytest.raises(InputError, match="smaller n_features, or a kernel that averages more positions"):
        classifier().fit(x, y)
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"in 6 KiB, .* memory_budget=1000 allows 1 KiB\. Pass a smaller n_features"):
        classifier(memory_budget=1000).fit(x, y)
    classifier(memory_budget=40_000).fit(x, y)
    solver = Features(FeatureDraw(5, 0))
    assert solver.decomposed(POOLED, 6, 7, 10**6) == 5 * 2 * 2
    assert solver.decomposed(POOLED, 6, 7, 9) == 9


def test_filters_that_are_patches_are_those_of_the_training_images_also_from_a_file(tmp_path: Path) -> None:
    x, y = pictures(12)
    model = classifier(first_filters="patches", cv=2).fit(x, y)
    images = torch.from_numpy(x)
    M = model.layers_[0].kept.metric
    phi = FeatureMap(POOLED, FeatureDraw(24, 0, "patches"), images, M)
    np.testing.assert_allclose(model.decision_function(x), phi(images).numpy() @ model.coef_)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(convrfm.load(tmp_path / "model").decision_function(x), model.decision_function(x))


def test_what_features_cannot_do_is_said(as_a_user: None) -> None:
    x, y = pictures(12)
    with pytest.raises(InputError, match="Laplace has none"):
        classifier(kernel=kernels.Laplace(3)).fit(x, y)
    with pytest.raises(InputError, match="n_features must be"):
        classifier(n_features=0).fit(x, y)
    with pytest.raises(InputError, match="solver must be one of"):
        classifier(solver="primal").fit(x, y)
    with pytest.raises(InputError, match="is of random features"):
        classifier(first_filters="patches", solver="exact").fit(x, y)
    with pytest.raises(InputError, match="n_features must be at least 2"):
        classifier(first_filters="patches", n_features=1).fit(x, y)
    regressor = any_estimator(ConvRFMRegressor).fit(x, x[:, 0, 2, 2])
    with pytest.raises(InputError, match="without return_std"):
        regressor.predict(x, return_std=True)
    assert not hasattr(regressor, "dual_coef_")
