"""A warm start ends where one fit would have ended."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

import convrfm
from convrfm import ConvRFMClassifier, ConvRFMRegressor, DeepConvRFMClassifier, datasets, kernels
from convrfm.errors import InputError
from convrfm.estimators.ahead import choosing
from convrfm.estimators.solving.iterative import Iterative

from .cases import CHEAP, KERNEL, RIDGES, interrupt_after, pictures

X, Y = pictures(16)
X_NEW, _ = pictures(7, 1)


class EndedError(Exception):
    """As by kill -9."""


def same(a: Any, b: Any) -> None:
    for layer, other in zip(a.layers_, b.layers_, strict=True):
        assert len(layer.rounds) == len(other.rounds)
        for one, two in zip(layer.rounds, other.rounds, strict=True):
            np.testing.assert_array_equal(one.coef, two.coef)
            np.testing.assert_array_equal(one.feature_matrix, two.feature_matrix)
    for stage, expected in zip(a.staged_outputs(X_NEW), b.staged_outputs(X_NEW), strict=True):
        np.testing.assert_array_equal(stage, expected)
    assert [r | {"seconds": 0} for r in a.history_] == [r | {"seconds": 0} for r in b.history_]


@pytest.mark.parametrize("kind", CHEAP)
@pytest.mark.parametrize(
    "settings", [{"keep": "best"}, {"keep": "last"}, {"agop_ridge": "last", "ridge": RIDGES}], ids=str
)
@pytest.mark.parametrize("stored", [False, True], ids=["at once", "from a file"])
def test_one_update_and_then_two_more_are_three(
    kind: type, settings: dict[str, Any], stored: bool, tmp_path: Path
) -> None:
    weights = 1.0 + np.arange(16) % 2
    model = kind(**CHEAP[kind] | settings | {"warm_start": True, "agop_samples": 9}).fit(X, Y, weights)
    first = model.layers_[0].rounds[:2]
    if stored:
        model.save(tmp_path / "model")
        model = convrfm.load(tmp_path / "model")
        first = model.layers_[0].rounds[:2]
    model.predict(X_NEW)
    model.set_params(n_iterations=3).fit(X, Y, weights)
    assert all(a is b for a, b in zip(model.layers_[0].rounds[:2], first, strict=True))
    same(model, kind(**CHEAP[kind] | settings | {"n_iterations": 3, "agop_samples": 9}).fit(X, Y, weights))


@pytest.mark.parametrize("later", [{"random_state": 7}, {"n_filters": 3}, {"activation": None}], ids=str)
def test_layers_whose_images_change_start_again(later: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"depth": 2, "n_filters": 5, "n_iterations": 1}
    model = DeepConvRFMClassifier(**settings, warm_start=True).fit(X, Y)
    model.set_params(**later).fit(X, Y)
    same(model, DeepConvRFMClassifier(**settings | later).fit(X, Y))


def test_it_goes_on_where_an_interrupt_stopped_it() -> None:
    settings: dict[str, Any] = {"depth": 2, "n_filters": 5, "n_iterations": 2}
    after_three_ways_of_centering = 3 + 3
    with (
        interrupt_after(after_three_ways_of_centering) as family,
        pytest.warns(UserWarning, match="the fit keeps 4 of 6"),
    ):
        model = DeepConvRFMClassifier(family, **settings, warm_start=True).fit(X, Y)
    model.fit(X, Y)
    same(model, DeepConvRFMClassifier(**settings).fit(X, Y))


@pytest.mark.parametrize(
    ("n_iterations", "calls", "rounds"),
    [(3, 0, [2, 2]), (3, 1, [2, 2]), (3, 2, [2, 2]), (2, 2, [2, 2]), (3, 3, [4, 1]), (3, 5, [4, 3])],
    ids=["at once", "in the first layer", "after it", "as many rounds", "more rounds", "before the last round"],
)
def test_an_interrupt_leaves_what_has_more_layers_and_of_as_many_more_rounds(
    n_iterations: int, calls: int, rounds: list[int]
) -> None:
    settings: dict[str, Any] = {"depth": 2, "n_filters": 5, "centering": "mean", "keep": "last", "warm_start": True}
    with interrupt_after(-1) as family:
        model = DeepConvRFMClassifier(family, **settings, n_iterations=1).fit(X, Y)
    before = list(model.staged_outputs(X_NEW))
    with interrupt_after(calls), pytest.warns(UserWarning, match=f"the fit keeps {sum(rounds)} of "):
        model.set_params(n_iterations=n_iterations).fit(X, Y)
    assert [len(layer.rounds) for layer in model.layers_] == rounds
    assert len(model.history_) == sum(rounds)
    for stage, earlier in zip(model.staged_outputs(X_NEW), before, strict=True):
        assert np.isfinite(stage).all()
        assert rounds != [2, 2] or np.array_equal(stage, earlier)
    model.fit(X, Y)
    same(model, DeepConvRFMClassifier(**settings | {"warm_start": False}, n_iterations=n_iterations).fit(X, Y))


def test_another_way_of_centering_starts_further_layers_anew() -> None:
    settings: dict[str, Any] = {"depth": 2, "n_filters": 5, "n_iterations": 1}
    model = DeepConvRFMClassifier(**settings, centering="mean", warm_start=True).fit(X, Y)
    first = model.layers_[0].rounds
    model.set_params(centering="proportional").fit(X, Y)
    assert model.layers_[0].rounds == first
    same(model, DeepConvRFMClassifier(**settings, centering="proportional").fit(X, Y))


def test_an_interrupt_before_any_round_leaves_a_model_as_it_was() -> None:
    with interrupt_after(-1) as family:
        model = DeepConvRFMClassifier(family, **CHEAP[DeepConvRFMClassifier]).fit(X, Y)
    before = model.decision_function(X_NEW)
    with interrupt_after(0), pytest.raises(KeyboardInterrupt):
        model.fit(X_NEW, Y[:7])
    np.testing.assert_array_equal(model.decision_function(X_NEW), before)


MUCH, LITTLE = 10**10, 10_000  # bytes that are free: the latter for a metric, for no decomposition


@pytest.mark.parametrize(("then", "now"), [(MUCH, LITTLE), (LITTLE, MUCH)], ids=["less memory", "more memory"])
@pytest.mark.parametrize("stored", [False, True], ids=["at once", "from a file"])
@pytest.mark.parametrize("seed", [0, None])
def test_what_auto_took_goes_on_whatever_memory_is_free_by_then(
    then: int, now: int, stored: bool, seed: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "free_bytes", lambda device: then)
    model = ConvRFMClassifier(KERNEL, n_iterations=1, random_state=seed, warm_start=True).fit(X, Y)
    solver = model.fitted_.solver
    if stored:
        model.save(tmp_path / "model")
        model = convrfm.load(tmp_path / "model")
    monkeypatch.setattr(choosing, "free_bytes", lambda device: now)
    model.set_params(n_iterations=2).fit(X, Y)
    assert model.fitted_.solver == solver
    assert isinstance(solver, Iterative) == (then == LITTLE)


@pytest.mark.parametrize("solver", ["cg", "features"])
def test_a_draw_that_no_seed_decides_is_gone_on_with(solver: Any) -> None:
    model = ConvRFMClassifier(KERNEL, n_iterations=1, solver=solver, n_features=32, random_state=None, warm_start=True)
    first = model.fit(X, Y).layers_[0].rounds[:2]
    again = model.set_params(n_iterations=2).fit(X, Y).layers_[0].rounds[:2]
    assert all(a is b for a, b in zip(again, first, strict=True))
    assert model.set_params(warm_start=False).fit(X, Y).layers_[0].rounds[0] is not first[0]


def test_filters_and_images_for_the_gradients_that_no_seed_decides_are_gone_on_with(tmp_path: Path) -> None:
    model = DeepConvRFMClassifier(depth=2, n_filters=3, n_iterations=1, agop_samples=7, random_state=None).fit(X, Y)
    seed = model.fitted_.solver.to_file()["seed"]
    model.save(tmp_path / "model")
    more: dict[str, Any] = {"depth": 2, "n_filters": 3, "n_iterations": 2, "agop_samples": 7}
    expected = DeepConvRFMClassifier(**more, random_state=seed).fit(X, Y)
    for before in (model, convrfm.load(tmp_path / "model").set_params(kernel_family=kernels.vanilla_ntk)):
        same(before.set_params(**more, random_state=None, warm_start=True).fit(X, Y), expected)


def test_without_it_a_second_fit_is_a_first_one() -> None:
    model = ConvRFMClassifier(KERNEL, n_iterations=1).fit(*pictures(10, 3))
    same(model.fit(X, Y), ConvRFMClassifier(KERNEL, n_iterations=1).fit(X, Y))


@pytest.mark.parametrize(
    ("changes", "images", "labels", "weights", "message"),
    [
        ({}, X_NEW[[0, 1, 2, 3] * 4], Y, None, "same images, labels and weights"),
        ({}, X.astype(np.float32), Y, None, "same images, labels and weights"),
        ({}, X[:12], Y[:12], None, "same images, labels and weights"),
        ({}, X, Y[::-1], None, "same images, labels and weights"),
        ({}, X, Y, np.arange(1.0, 17), "same images, labels and weights"),
        ({"kernel": kernels.NTK(kernels.vanilla(2))}, X, Y, None, "same kernel"),
        ({"kernel": [KERNEL, kernels.NTK(kernels.vanilla(2))]}, X, Y, None, "is of 1 kernel, and 2 came"),
        ({"cv": 3}, X, Y, None, "pass the same choose_on and cv"),
        ({"n_iterations": 1}, X, Y, None, "at least 2"),
    ],
    ids=["images", "precision", "fewer", "labels", "weights", "kernel", "kernels", "folds", "rounds"],
)
def test_what_it_cannot_go_on_from_is_refused(
    changes: dict[str, Any], images: Any, labels: Any, weights: Any, message: str
) -> None:
    model = ConvRFMClassifier(KERNEL, n_iterations=2, warm_start=True).fit(X, Y)
    before = model.decision_function(X_NEW)
    with pytest.raises(InputError, match=message):
        model.set_params(**changes).fit(images, labels, weights)
    np.testing.assert_array_equal(model.decision_function(X_NEW), before)


@pytest.mark.parametrize(("first", "selection"), [({"cv": 3}, None), ({"choose_on": "selection"}, pictures(9, 4))])
def test_rounds_with_other_judges_are_not_compared(first: dict[str, Any], selection: Any) -> None:
    model = ConvRFMClassifier(KERNEL, n_iterations=1, warm_start=True, **first).fit(X, Y, selection=selection)
    with pytest.raises(InputError, match="choosing as before"):
        model.set_params(cv=None, choose_on="loo").fit(X, Y)


def test_numbers_are_targets_as_labels_are() -> None:
    model = ConvRFMRegressor(KERNEL, n_iterations=1, warm_start=True).fit(X, Y)
    with pytest.raises(InputError, match="same images, labels"):
        model.fit(X, Y + 1)


def test_a_warm_start_does_not_mix_ways_of_judging() -> None:
    x, y = datasets.bars(16, sigma=1.0, generator=np.random.default_rng(0))
    model = ConvRFMClassifier(kernels.NTK(kernels.vanilla(1)), n_iterations=0, warm_start=True).fit(x, y)
    with pytest.raises(InputError, match="leave-one-out is of other images now"):
        model.set_params(n_iterations=1).fit(x, y, groups=np.arange(16) // 2)


def test_groups_go_on_as_groups() -> None:
    groups = np.arange(16) // 2
    whole = ConvRFMClassifier(KERNEL, n_iterations=1).fit(X, Y, groups=groups)
    part = ConvRFMClassifier(KERNEL, n_iterations=0, warm_start=True).fit(X, Y, groups=groups)
    same(part.set_params(n_iterations=1).fit(X, Y, groups=groups), whole)


def test_folds_go_on_from_a_file_after_a_layer_that_keeps_another_round_than_its_last(tmp_path: Path) -> None:
    model = DeepConvRFMClassifier(depth=2, n_filters=3, n_iterations=1, cv=2)
    labels, seen = np.random.default_rng(0).permutation(Y), []  # nothing is learned from these

    def in_the_second_layer(so_far: Any) -> None:
        seen.append(len(so_far.layers_))
        if seen[-1] == 2:
            so_far.save(tmp_path / "model")
            raise EndedError

    with pytest.raises(EndedError):
        model.fit(X, labels, after_round=in_the_second_layer)
    first = convrfm.load(tmp_path / "model").layers_[0]
    assert first.kept is first.rounds[0]
    more = clone(model).set_params(n_iterations=2)
    later = convrfm.load(tmp_path / "model").set_params(**(more.get_params(deep=False) | {"warm_start": True}))
    same(later.fit(X, labels), more.fit(X, labels))


@pytest.mark.parametrize("depth", [None, 2], ids=["shallow", "deep"])
@pytest.mark.parametrize("settings", [{"cv": 2}, {"choose_on": "selection"}], ids=["folds", "selection"])
def test_rounds_judged_by_folds_or_a_selection_set_go_on_from_a_file(
    depth: int | None, settings: dict[str, Any], tmp_path: Path
) -> None:
    selection = pictures(9, 4) if "choose_on" in settings else None
    kind: Any = ConvRFMClassifier(KERNEL) if depth is None else DeepConvRFMClassifier(depth=depth, n_filters=3)
    model = kind.set_params(n_iterations=2, **settings)
    expected = clone(model).fit(X, Y, selection=selection)
    for stopping_after in (2,) if depth is None else (2, 4):
        rounds: list[int] = []

        def stop(so_far: Any, rounds: list[int] = rounds, last: int = stopping_after) -> None:
            so_far.save(tmp_path / "model")
            rounds.append(1)
            if len(rounds) == last:
                raise EndedError

        with pytest.raises(EndedError):
            clone(model).fit(X, Y, selection=selection, after_round=stop)
        later = convrfm.load(tmp_path / "model").set_params(**(model.get_params(deep=False) | {"warm_start": True}))
        later.fit(X, Y, selection=selection)
        np.testing.assert_array_equal(later.decision_function(X_NEW), expected.decision_function(X_NEW))
        judged = [[{k: v for k, v in r.items() if k != "seconds"} for r in m.history_] for m in (later, expected)]
        assert judged[0] == judged[1]
        assert later.fitted_.to_file()[1].keys() == expected.fitted_.to_file()[1].keys()


def test_other_folds_or_another_selection_set_are_not_gone_on_with() -> None:
    one, other = pictures(9, 4), pictures(9, 5)
    model = ConvRFMClassifier(KERNEL, n_iterations=1, warm_start=True, choose_on="selection").fit(X, Y, selection=one)
    with pytest.raises(InputError, match="the selection set is of other images now"):
        model.fit(X, Y, selection=other)
    model = ConvRFMClassifier(KERNEL, n_iterations=1, warm_start=True, cv=3).fit(X, Y)
    with pytest.raises(InputError, match="cross-validation is of other images now"):
        model.set_params(cv=4).fit(X, Y)
    with pytest.raises(InputError, match="keeps no metrics of its folds"):
        model.set_params(cv=3, n_iterations=2).fit(X, Y)
    with pytest.raises(InputError, match="same choose_on and cv"):
        model.set_params(cv=None).fit(X, Y)
