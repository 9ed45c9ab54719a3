"""Deep ConvRFM is Algorithm 2, layer by layer."""

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

import convrfm
from convrfm import ConvRFMClassifier, ConvRFMRegressor, DeepConvRFMClassifier, DeepConvRFMRegressor, kernels
from convrfm.errors import InputError
from convrfm.estimators.learning import rounds, starts
from convrfm.estimators.learning.problem import Problem
from convrfm.maths.random_filters import CENTERINGS

from ..alive import Alive
from .cases import (
    assert_same_history,
    drawn_filters,
    interrupt_after,
    laplace_family,
    layer_images,
    nngp_family,
    pictures,
    same_padded_family,
)

X, Y = pictures(18)
X_NEW, Y_NEW = pictures(7, 1)


def deep(**settings: Any) -> DeepConvRFMClassifier:
    return DeepConvRFMClassifier(**({"depth": 2, "n_filters": 5, "n_iterations": 1} | settings))


@pytest.mark.parametrize(
    ("family", "activation", "centering", "keep", "depth"),
    [
        (kernels.vanilla_ntk, "relu", "mean", "best", 2),
        (kernels.vanilla_ntk, None, None, "last", 2),
        (nngp_family, "relu", None, "last", 2),
        (laplace_family, "relu", "proportional", "best", 2),
        (same_padded_family, "relu", "proportional", "last", 3),
    ],
)
def test_every_layer_is_conv_rfm_on_the_random_features_of_the_layer_before(
    family: Any, activation: Any, centering: Any, keep: Any, depth: int
) -> None:
    settings: dict[str, Any] = {"n_iterations": 1, "keep": keep, "ridge": (1e-3, 1e-1)}
    drawn = {"activation": activation, "centering": centering, "random_state": 3}
    model = deep(kernel_family=family, depth=depth, **drawn, **settings).fit(X, Y)
    x, x_new = X, X_NEW
    records = []
    for number in range(depth):
        kernel = family(depth - number)
        layer = ConvRFMClassifier(kernel, **settings).fit(x, Y)
        assert model.kernels_[number] == kernel
        np.testing.assert_allclose(model.feature_matrices_[number], layer.feature_matrix_, rtol=1e-6, atol=1e-9)
        records += [record | {"layer": number + 1} for record in layer.history_]
        expected = layer.decision_function(x_new)
        if number + 1 < depth:
            filters = drawn_filters(layer.feature_matrix_, 3, number, depth, 5, activation)
            np.testing.assert_allclose(model.filters_[number], filters, rtol=1e-5, atol=1e-7)
            margin = 1 if family is same_padded_family else 0
            x, x_new = (layer_images(images, filters, activation, margin, centering, x) for images in (x, x_new))
    np.testing.assert_allclose(model.decision_function(X_NEW), expected, rtol=1e-4, atol=1e-6)
    assert_same_history(model.history_, records, rel=1e-4)


def test_one_layer_is_conv_rfm_to_the_last_bit() -> None:
    x, x_new = X.astype(np.float32), X_NEW.astype(np.float32)
    one, shallow = deep(depth=1).fit(x, Y), ConvRFMClassifier(kernels.vanilla_ntk(1), n_iterations=1).fit(x, Y)
    np.testing.assert_array_equal(one.decision_function(x_new), shallow.decision_function(x_new))
    np.testing.assert_array_equal(one.predict_proba(x_new), shallow.predict_proba(x_new))
    np.testing.assert_array_equal(one.feature_matrices_[0], shallow.feature_matrix_)
    assert (one.filters_, one.best_iterations_) == ([], [shallow.best_iteration_])


def test_a_fit_without_updates_makes_no_metric_of_its_patches(tmp_path: Path) -> None:
    """Of 2,700 entries it would take 58 MB in each layer from the second on; all that is asked for is right afterwards."""
    model = deep(depth=3, kernel_family=same_padded_family, n_filters=300, n_iterations=0, centering=None)
    with Alive() as found:
        model.fit(X, Y)
        model.save(tmp_path / "model")
        again = convrfm.load(tmp_path / "model")
        maps = [again.feature_maps(X_NEW, layer) for layer in (1, 2, 3)]
        again.to_torch(n_filters=2)
    d = 300 * 9
    assert found.peak < 8 * d**2
    assert (tmp_path / "model").stat().st_size < 8 * d**2
    assert [layer.kept.metric for layer in again.layers_] == [None] * 3
    np.testing.assert_array_equal(again.feature_matrices_[2], np.eye(d))
    np.testing.assert_array_equal(again.decision_function(X_NEW), model.decision_function(X_NEW))
    arriving = X_NEW
    for filters, of_layer in zip([*model.filters_, None], maps, strict=True):
        wide = np.pad(arriving, ((0, 0), (0, 0), (1, 1), (1, 1)))
        lengths = np.sqrt(sum((wide[:, :, u : u + 6, v : v + 7] ** 2).sum(1) for u in range(3) for v in range(3)))
        np.testing.assert_allclose(of_layer, lengths, rtol=1e-12)
        arriving = arriving if filters is None else layer_images(arriving, filters, "relu", 1)


def test_the_seed_decides_the_filters_and_nothing_else_does() -> None:
    torch.manual_seed(0)
    one = deep(random_state=1).fit(X, Y)
    torch.manual_seed(5)
    same, other = deep(random_state=1).fit(X, Y), deep(random_state=2).fit(X, Y)
    np.testing.assert_array_equal(one.filters_[0], same.filters_[0])
    np.testing.assert_array_equal(one.decision_function(X_NEW), same.decision_function(X_NEW))
    np.testing.assert_array_equal(one.feature_matrices_[0], other.feature_matrices_[0])
    assert np.abs(one.filters_[0] - other.filters_[0]).min() > 0


def test_layers_draw_from_streams_of_their_own() -> None:
    model = deep(kernel_family=same_padded_family, depth=3, n_iterations=0, n_filters=1).fit(X, Y)
    first, second = (filters * np.sqrt(filters.shape[1] / 2) for filters in model.filters_)
    assert np.abs(first - second).min() > 1e-3


def test_every_layer_keeps_its_metric_filters_and_rounds() -> None:
    model = deep(kernel_family=same_padded_family, depth=3, n_iterations=2).fit(X, Y)
    assert [len(layer.rounds) for layer in model.layers_] == [3, 3, 3]
    assert [M.shape for M in model.feature_matrices_] == [(9, 9), (45, 45), (45, 45)]
    assert [filters.shape for filters in model.filters_] == [(5, 9), (5, 45)]
    for M in model.feature_matrices_:
        assert np.trace(M) == pytest.approx(len(M))
    assert [(r["layer"], r["iteration"]) for r in model.history_] == [(a, b) for a in (1, 2, 3) for b in (0, 1, 2)]
    assert [model.feature_maps(X_NEW, layer).shape for layer in (1, 2, 3)] == [(7, 6, 7)] * 3
    with pytest.raises(InputError, match="from 1 to 3"):
        model.feature_maps(X_NEW, 4)


@pytest.mark.parametrize(("depth", "layer", "size"), [(4, 1, "6 x 7"), (7, 1, "6 x 7")])
def test_images_too_small_for_the_first_kernel_are_refused(depth: int, layer: int, size: str) -> None:
    with pytest.raises(InputError, match=f"cannot carry depth {depth}: layer {layer} gets {size}"):
        deep(depth=depth).fit(X, Y)


def test_images_that_shrink_too_much_are_refused_with_the_layer() -> None:
    with pytest.raises(InputError, match="6 x 7 cannot carry depth 3: layer 3 gets 2 x 3"):
        deep(kernel_family=laplace_family, depth=3).fit(X, Y)
    with pytest.raises(InputError, match="cannot carry depth 3"):
        deep(kernel_family=laplace_family, depth=[1, 3]).fit(X, Y)


def test_stages_are_the_fixed_kernel_and_every_layer() -> None:
    model = deep().fit(X, Y)
    stages = list(model.staged_outputs(X_NEW))
    fixed = ConvRFMClassifier(kernels.vanilla_ntk(2), n_iterations=0).fit(X, Y)
    first = ConvRFMClassifier(kernels.vanilla_ntk(2), n_iterations=1).fit(X, Y)
    for stage, expected in zip(stages, (fixed, first, model), strict=True):
        np.testing.assert_allclose(stage, expected.decision_function(X_NEW), rtol=1e-9, atol=1e-12)
    labels = list(model.staged_predict(X_NEW))
    np.testing.assert_array_equal(labels, [stage.argmax(1) for stage in stages])


@pytest.mark.parametrize("family", [kernels.vanilla_ntk, nngp_family, laplace_family])
@pytest.mark.parametrize("kind", [DeepConvRFMClassifier, DeepConvRFMRegressor])
def test_reading_and_writing_changes_nothing(family: Any, kind: Any, tmp_path: Path) -> None:
    settings = {"depth": 2, "n_filters": 5, "n_iterations": 1, "activation": None, "random_state": 4, "cv": 2}
    model = kind(family, **settings).fit(X, Y)
    model.save(tmp_path / "model")
    again = convrfm.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(X_NEW), model.predict(X_NEW))
    for stage, original in zip(again.staged_outputs(X_NEW), model.staged_outputs(X_NEW), strict=True):
        np.testing.assert_array_equal(stage, original)
    assert again.history_ == model.history_
    assert (again.kernels_, again.best_iterations_) == (model.kernels_, model.best_iterations_)
    assert again.centerings_ == model.centerings_
    for name in ("feature_matrices_", "filters_"):
        for a, b in zip(getattr(again, name), getattr(model, name), strict=True):
            np.testing.assert_array_equal(a, b)
    kept = {name: value for name, value in again.get_params().items() if name not in ("kernel_family", "device")}
    assert kept == {name: model.get_params()[name] for name in kept}
    for refitted in (clone(again).fit(X, Y), again.fit(X, Y)):
        np.testing.assert_array_equal(refitted.predict(X_NEW), model.predict(X_NEW))
    again.save(tmp_path / "again")
    np.testing.assert_array_equal(convrfm.load(tmp_path / "again").predict(X_NEW), model.predict(X_NEW))


def test_a_file_keeps_the_rounds_that_were_kept_whatever_parameters_say_by_then(tmp_path: Path) -> None:
    model = deep(keep="last").fit(X, Y)
    model.set_params(keep="best").save(tmp_path / "model")
    again = convrfm.load(tmp_path / "model")
    assert [layer.keep for layer in again.layers_] == ["last", "last"]
    np.testing.assert_array_equal(again.decision_function(X_NEW), model.decision_function(X_NEW))


def test_a_network_made_from_a_model_shares_no_memory_with_it() -> None:
    model = deep().fit(X, Y)
    before = model.decision_function(X_NEW)
    network = model.to_torch(4)
    for values in network.state_dict().values():
        values.zero_()
    np.testing.assert_array_equal(model.decision_function(X_NEW), before)


@pytest.mark.parametrize("centering", ["mean", "proportional", None])
def test_the_public_filters_and_means_make_the_next_layers_images(centering: Any) -> None:
    model = deep(centering=centering).fit(X, Y)
    (filters,), (mean,) = model.filters_, model.feature_means_
    assert model.centerings_ == [centering]
    assert (mean is None) == (centering is None)
    expected = layer_images(X_NEW, filters, "relu")
    if centering is not None:
        length = np.linalg.norm(expected, axis=1, keepdims=True) if centering == "proportional" else 1
        expected = expected - length * mean[:, None, None]
    np.testing.assert_allclose(model.layers_[0].features(torch.tensor(X_NEW)).numpy(), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("judge", "settings"), [("loo", {}), ("selection", {"choose_on": "selection"}), ("cv", {"cv": 3})]
)
def test_every_layer_is_centered_in_the_way_that_its_judge_likes_best(judge: str, settings: dict[str, Any]) -> None:
    given = {"selection": pictures(9, 2)} if judge == "selection" else {}
    alone = {centering: deep(centering=centering, **settings).fit(X, Y, **given) for centering in CENTERINGS}
    tried = {}
    for centering, model in alone.items():
        first = next(record for record in model.history_ if record["layer"] == 2)
        tried[centering] = {
            "centering": centering,
            "error": first[f"{judge}_error"],
            "accuracy": first[f"{judge}_accuracy"],
        }
        assert first["centerings"] == [tried[centering]]
    model = deep(**settings).fit(X, Y, **given)
    assert [record["centerings"] for record in model.history_ if "centerings" in record] == [list(tried.values())]
    best = max(CENTERINGS, key=lambda c: (tried[c]["accuracy"], -tried[c]["error"]))
    assert model.centerings_ == [best]
    np.testing.assert_array_equal(model.decision_function(X_NEW), alone[best].decision_function(X_NEW))


def test_a_centering_that_leaves_nothing_is_not_taken(tmp_path: Path) -> None:
    model = deep(n_filters=1, warm_start=True).fit(X, Y)
    (tried,) = (record["centerings"] for record in model.history_ if "centerings" in record)
    assert [way["centering"] for way in tried] == list(CENTERINGS)
    assert [way["centering"] for way in tried if "error" not in way] == ["proportional"]
    model.save(tmp_path / "model")
    assert convrfm.load(tmp_path / "model").history_ == model.history_
    rounds = model.layers_[1].rounds
    model.set_params(n_iterations=2).fit(X, Y)
    assert model.layers_[1].rounds[:2] == rounds or model.best_iterations_[0] == 2
    with pytest.raises(InputError, match="leaves nothing of one filter behind a ReLU"):
        deep(n_filters=1, centering="proportional").fit(X, Y)
    assert deep(depth=1, n_filters=1, centering="proportional").fit(X, Y).centerings_ == []


def test_features_of_one_direction_cannot_be_centered_in_proportion() -> None:
    bright = np.linspace(1, 3, 18)[:, None, None, None] * np.ones((18, 1, 6, 7))
    with pytest.raises(InputError, match="all features that layer 1 puts out have one direction"):
        deep(centering="proportional").fit(bright, Y)
    assert "proportional" not in deep(kernel_family=laplace_family).fit(bright, Y).centerings_


def test_the_images_of_ways_that_lost_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []
    through, fit_round = Problem.through, rounds.fit_round

    def noted(problem: Problem, *arguments: Any) -> Problem:
        ahead = through(problem, *arguments)
        made.append(weakref.ref(ahead.x))
        return ahead

    def counted(*arguments: Any) -> Any:
        alive.append(sum(images() is not None for images in made))
        return fit_round(*arguments)

    monkeypatch.setattr(Problem, "through", noted)
    for caller in (rounds, starts):
        monkeypatch.setattr(caller, "fit_round", counted)
    deep(depth=3, kernel_family=same_padded_family).fit(X, Y)
    # Layer 1: two rounds. Further layers: three ways beside the best so far and the layer before, then one round.
    assert alive[:2] == [0, 0]
    assert alive[5] == alive[9] == 1
    assert max(alive[2:5]) <= 2
    assert max(alive[6:9]) <= 3


def test_an_interrupt_between_ways_of_centering_keeps_the_layer_before() -> None:
    after_the_first_layer_and_one_way = 2 + 1
    with interrupt_after(after_the_first_layer_and_one_way) as family, pytest.warns(UserWarning, match="2 of 4 rounds"):
        model = deep(kernel_family=family).fit(X, Y)
    assert [len(layer.rounds) for layer in model.layers_] == [2]
    assert (model.centerings_, model.layers_[0].qualities) == ([], {})
    first = ConvRFMClassifier(kernels.vanilla_ntk(2), n_iterations=1).fit(X, Y)
    np.testing.assert_allclose(model.decision_function(X_NEW), first.decision_function(X_NEW), rtol=1e-9, atol=1e-12)


def test_torch_in_torch_out() -> None:
    model, arrays = deep().fit(torch.tensor(X), torch.tensor(Y)), deep().fit(X, Y)
    for values in (*model.feature_matrices_, *model.filters_, model.dual_coef_):
        assert isinstance(values, torch.Tensor)
    x_new = torch.tensor(X_NEW)
    np.testing.assert_array_equal(model.decision_function(x_new).numpy(), arrays.decision_function(X_NEW))
    np.testing.assert_array_equal(model.predict_proba(x_new).numpy(), arrays.predict_proba(X_NEW))
    assert isinstance(model.feature_maps(x_new, 2), torch.Tensor)
    assert model.score(x_new, torch.tensor(Y_NEW)) == arrays.score(X_NEW, Y_NEW)


@pytest.mark.parametrize(("calls", "finished"), [(1, [1]), (3, [3]), (4, [3, 1]), (8, [3, 3, 2])])
def test_an_interrupt_keeps_finished_rounds_and_layers(calls: int, finished: list[int]) -> None:
    x, y = pictures(12, noise=0.3)
    x = np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 0)))
    with interrupt_after(calls) as family, pytest.warns(UserWarning, match=f"{sum(finished)} of 9 rounds"):
        model = deep(kernel_family=family, depth=3, n_iterations=2, centering="mean").fit(x, y)
    whole = deep(depth=3, n_iterations=2, centering="mean").fit(x, y)
    assert [len(layer.rounds) for layer in model.layers_] == finished
    for layer, complete in zip(model.layers_, whole.layers_, strict=False):
        for a, b in zip(layer.rounds, complete.rounds, strict=False):
            torch.testing.assert_close(a.coef, b.coef)
    assert model.predict(x).shape == y.shape
    assert len(list(model.staged_predict(x))) == len(finished) + 1
    assert len(model.filters_) == len(finished) - 1


def test_an_interrupt_before_the_first_round_is_an_interrupt() -> None:
    with interrupt_after(0) as family, pytest.raises(KeyboardInterrupt):
        deep(kernel_family=family).fit(X, Y)


def test_the_images_of_layers_are_kept_once_and_only_those_of_the_last() -> None:
    model = deep(depth=3, kernel_family=same_padded_family).fit(X, Y)
    model.predict(X_NEW)
    list(model.staged_predict(X_NEW))
    held = {
        tensor.data_ptr(): tensor
        for owner in (
            model,
            model.fitted_,
            *model.layers_,
            *(round_ for layer in model.layers_ for round_ in layer.rounds),
        )
        for tensor in vars(owner).values()
        if isinstance(tensor, torch.Tensor) and tensor.ndim == 4
    }
    assert sorted(tuple(tensor.shape) for tensor in held.values()) == [(18, 1, 6, 7), (18, 5, 6, 7)]


@pytest.mark.parametrize("columns", [None, 2])
def test_the_regressor_is_that_of_its_last_layer(columns: int | None) -> None:
    targets = Y.astype(float) if columns is None else np.stack([Y, 2.0 - Y**2], 1)
    model = DeepConvRFMRegressor(depth=2, n_filters=5, n_iterations=1).fit(X, targets)
    x, x_new = (layer_images(images, model.filters_[0], "relu", 0, model.centerings_[0], X) for images in (X, X_NEW))
    last = ConvRFMRegressor(kernels.vanilla_ntk(1), n_iterations=1).fit(x, targets)
    for a, b in zip(model.predict(X_NEW, return_std=True), last.predict(x_new, return_std=True), strict=True):
        assert a.shape == ((7,) if columns is None else (7, 2))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
