"""All that a fit makes beside its images stays within `memory_budget`, a kernel's temporaries included."""

import math
import re
import weakref
from typing import Any, Literal

import numpy as np
import pytest
from sklearn.base import clone

from convrfm import ConvRFMClassifier, DeepConvRFMClassifier, kernels
from convrfm.errors import InputError
from convrfm.estimators.ahead import choosing, outlook
from convrfm.estimators.ahead.footprint import bytes_missing, bytes_of
from convrfm.estimators.learning.problem import Problem
from convrfm.estimators.solving import agop_in_parts
from convrfm.estimators.solving.feature_solver import Features
from convrfm.kernels.devices import ON_CPUS
from tests.alive import Alive

NTK = kernels.NTK(kernels.vanilla(1))
BUDGETS = {"on disk": 4_900_000, "in memory": 6_000_000, "decomposed": 5_400_000}


def pictures(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(seed).standard_normal((n, 3, 10, 10)).astype(np.float32), np.arange(n) % 2


def alive(model: ConvRFMClassifier, selection: Any = None) -> int:
    """At the peak of a fit, without its copies of images."""
    x, y = pictures(300, 0)
    with Alive() as found:
        model.fit(x, y, selection=selection)
    return found.peak - x.nbytes - (0 if selection is None else selection[0].nbytes)


@pytest.mark.parametrize("way", BUDGETS)
def test_what_is_alive_beside_the_images_stays_within_the_budget(way: str) -> None:
    pytest.importorskip("zarr")
    model = ConvRFMClassifier(NTK, n_iterations=1, ridge=1e-2, agop_samples=64)
    model.set_params(solver="exact" if way == "decomposed" else "cg")
    budget = BUDGETS[way]
    assert alive(model.set_params(memory_budget=budget)) <= budget < alive(model.set_params(memory_budget=None))


@pytest.mark.parametrize(
    ("solver", "cv", "budget"), [("cg", None, 7_000_000), ("cg", 3, 9_500_000), ("exact", None, 6_500_000)]
)
def test_what_patches_of_many_numbers_take_is_counted_or_refused(
    solver: Literal["cg", "exact"], cv: int | None, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agop_in_parts, "PART", 4)
    x, y = np.random.default_rng(0).standard_normal((64, 3, 10, 10)).astype(np.float32), np.arange(64) % 2
    model = ConvRFMClassifier(kernels.Laplace(9), n_iterations=1, ridge=1e-2, solver=solver, cv=cv)
    with Alive() as found:
        model.set_params(memory_budget=budget).fit(x, y)
    assert found.peak - x.nbytes <= budget
    with pytest.raises(InputError, match=r"metric on patches is learned in .*smaller patches"):
        model.set_params(memory_budget=budget - 2_000_000).fit(x, y)


def test_where_metrics_alone_are_too_large_conjugate_gradients_are_neither_taken_nor_proposed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    x, y = np.random.default_rng(0).standard_normal((64, 3, 10, 10)).astype(np.float32), np.arange(64) % 2
    model = ConvRFMClassifier(kernels.Laplace(9), n_iterations=1, memory_budget=2_000_000)
    with pytest.raises(InputError, match=r"metric on patches is learned in .* Pass .*smaller patches\.$") as refused:
        model.fit(x, y)
    assert "cg" not in str(refused.value)
    assert "conjugate gradients" not in capfd.readouterr().err


def test_outputs_of_many_images_stay_within_it_too() -> None:
    selection, budget = pictures(2500, 1), BUDGETS["decomposed"]
    model = ConvRFMClassifier(NTK, n_iterations=0, ridge=1e-2, solver="exact", choose_on="selection")
    assert alive(model.set_params(memory_budget=budget), selection) <= budget
    whole = model.history_
    assert alive(model.set_params(memory_budget=None), selection) > budget
    assert model.history_[0]["selection_error"] == pytest.approx(whole[0]["selection_error"], rel=1e-6)


def test_a_kernel_s_own_budget_is_left_to_it_and_none_is_above_the_default() -> None:
    x, y = pictures(12, 0)
    seen = []

    class Seen(kernels.Laplace):
        def matrix(self, *arguments: Any) -> Any:
            seen.append(self.memory_budget)
            return super().matrix(*arguments)

    for own, budget, expected in ((None, None, None), (None, 80_000, 10_000), (7, 80_000, 7), (None, 10**12, ON_CPUS)):
        kernel = Seen(3, memory_budget=own)
        seen.clear()
        model = ConvRFMClassifier(kernel, n_iterations=0, memory_budget=budget).fit(x, y)
        assert model.layers_[0].kernel == kernel
        assert set(seen) == {expected}


def test_the_budget_of_which_a_fit_says_that_it_needs_it_is_enough_and_less_is_not() -> None:
    settings: dict[str, Any] = {"device": choosing.CPU, "seed": 0, "folder": None, "workers": None}
    asked = choosing.Regression(n=300, outputs=2, ridges=1, weighted=False, grouped=False, metrics=4_000_000)
    for name, solve in (("exact", 40 * 300**2), ("cg", choosing.bytes_of_iterations(300, 2, 1))):
        enough = (solve + asked.metrics) * 4 // 3 + 4
        assert choosing.kernel_solver(name, asked, memory_budget=enough, **settings).temporaries == enough // 8
        with pytest.raises(InputError, match=f"memory_budget={enough - 12} allows"):
            choosing.kernel_solver(name, asked, memory_budget=enough - 12, **settings)


def test_no_regression_lies_beside_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folds are solved one after the other, and before the whole."""
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    plain = Problem.path

    def noted(self: Problem, *arguments: Any) -> Any:
        assert not alive
        path = plain(self, *arguments)
        alive.add(path)
        return path

    monkeypatch.setattr(Problem, "path", noted)
    x, y = pictures(24, 0)
    ConvRFMClassifier(NTK, n_iterations=1, cv=3).fit(x, y)


def test_outputs_of_each_ridge_on_random_features_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    def nothing_is_missing(*of: Any) -> int:
        told.append(bytes_of(*of))
        return 0

    monkeypatch.setattr(outlook, "bytes_missing", nothing_is_missing)
    x, y, at_work = pictures(240, 0)[0], np.arange(240) % 20, 2**18
    kernel = kernels.NTK(kernels.vanilla(1, 3, "global"), memory_budget=at_work)
    ridges = np.logspace(-3, 0, 24).tolist()
    with Alive() as found:
        ConvRFMClassifier(kernel, n_iterations=0, solver="features", n_features=8, ridge=ridges).fit(x, y)
    assert told[0] / 2 < found.peak <= told[0] + 2 * at_work


@pytest.mark.parametrize("memory_budget", [None, 3_600_000, 3_000_000])
def test_random_features_that_are_remembered_are_told_and_keep_to_the_budget(
    memory_budget: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def missing(*of: Any) -> int:
        told.append(bytes_of(*of))
        return told[-1]

    monkeypatch.setattr(outlook, "bytes_missing", missing)
    x, y, at_work = pictures(240, 0)[0], np.arange(240) % 2, 2**18
    kernel = kernels.NNGP(kernels.vanilla(1, 3), memory_budget=at_work)
    model = ConvRFMClassifier(kernel, n_iterations=0, solver="features", n_features=16, memory_budget=memory_budget)
    with Alive() as found:
        model.fit(x, y)
    features, solver = 240 * model.coef_.shape[0] * 4, model.fitted_.solver
    assert isinstance(solver, Features)
    assert (solver.memory >= features) is (memory_budget is None)
    assert solver.memory > 0
    assert found.peak <= told[-1] + 2 * at_work
    assert memory_budget is None or found.peak - x.nbytes <= memory_budget + 2 * at_work


def test_no_more_features_are_remembered_than_memory_has_room_for_whatever_the_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, y = pictures(240, 0)[0], np.arange(240) % 2
    kernel = kernels.NNGP(kernels.vanilla(1, 3), memory_budget=2**18)
    model = ConvRFMClassifier(kernel, n_iterations=0, solver="features", n_features=32, memory_budget=10**12)
    monkeypatch.setattr(choosing, "free_bytes", lambda device: 4_500_000)
    solver = model.fit(x, y).fitted_.solver
    assert isinstance(solver, Features)
    assert 0 < solver.memory < 4_500_000 / 2


@pytest.mark.parametrize(
    ("dtype", "settings"),
    [(np.float64, {}), (np.float32, {"cv": 2}), (np.float32, {"depth": 2, "centering": None})],
    ids=str,
)
def test_what_a_deep_fit_makes_between_layers_is_told(dtype: Any, settings: dict[str, Any]) -> None:
    """Images of the layers are most of it; a kernel's temporaries are none of it."""
    x, y = np.random.default_rng(0).standard_normal((100, 1, 14, 14)).astype(dtype), np.arange(100) % 2
    plain: dict[str, Any] = {"depth": 3, "n_filters": 16, "n_iterations": 0, "ridge": 1e-2, "memory_budget": 4_000_000}
    model = DeepConvRFMClassifier(**plain | settings)
    given, plan, problem = model._to_be_fitted(x, y, None, None, None)
    told = bytes_missing(plan, problem, len(x), len(given.folds))
    del given, problem
    with Alive() as found:
        model.fit(x, y)
    assert 0.4 * told < found.peak - x.nbytes < told + 2 * 500_000


@pytest.mark.parametrize(
    ("model", "budget"),
    [
        (ConvRFMClassifier(NTK, solver="exact", n_iterations=0), 500_000),
        (ConvRFMClassifier(NTK, solver="exact", n_iterations=0, augment=("flip",)), 500_000),
        (ConvRFMClassifier(NTK, solver="cg", ridge=1e-2, n_iterations=0), 500_000),
        (ConvRFMClassifier(NTK, solver="features", n_features=64, n_iterations=0), 500_000),
        (DeepConvRFMClassifier(depth=2, n_filters=8, solver="exact", n_iterations=0), 500_000),
    ],
    ids=lambda value: type(value).__name__ + getattr(value, "solver", ""),
)
@pytest.mark.parametrize("by_budget", [True, False])
def test_the_images_of_which_a_refusal_says_that_they_fit_do_and_a_tenth_more_do_not(
    model: Any, budget: int, by_budget: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = pictures(200, 0)
    model = clone(model).set_params(memory_budget=budget if by_budget else None)
    if not by_budget:
        monkeypatch.setattr(outlook, "free_bytes", lambda device: budget)
    with pytest.raises(InputError) as refused:
        model.fit(x, y)
    (told,) = map(int, re.findall(r"n_train=(\d+)", str(refused.value)))
    with pytest.raises(InputError, match="n_train="):
        more = math.ceil(1.1 * told)
        model.fit(x[:more], y[:more])
    model.fit(x[:told], y[:told])


@pytest.mark.parametrize("n_iterations", [0, 1])
@pytest.mark.parametrize("by_budget", [True, False])
def test_the_filters_of_which_a_refusal_says_that_they_fit_do_and_a_tenth_more_do_not(
    n_iterations: int, by_budget: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = pictures(12, 0)
    model = DeepConvRFMClassifier(depth=2, n_filters=600, solver="exact", n_iterations=n_iterations, ridge=1e-2)
    if by_budget:
        model.set_params(memory_budget=300_000 if n_iterations == 0 else 8_000_000)
    else:
        monkeypatch.setattr(outlook, "free_bytes", lambda device: 3_000_000)
    with pytest.raises(InputError) as refused:
        model.fit(x, y)
    (told,) = map(int, re.findall(r"n_filters=(\d+)", str(refused.value)))
    with pytest.raises(InputError, match="n_filters="):
        model.set_params(n_filters=math.ceil(1.1 * told)).fit(x, y)
    model.set_params(n_filters=told).fit(x, y)


def test_an_initial_metric_is_counted_without_updates_too() -> None:
    x, y = np.random.default_rng(0).standard_normal((12, 3, 10, 10)).astype(np.float32), np.arange(12) % 2
    model = ConvRFMClassifier(kernels.Laplace(9), n_iterations=0, solver="exact", memory_budget=2_000_000)
    model.fit(x, y)
    with pytest.raises(InputError, match="metric on patches is learned in"):
        model.set_params(initial_metric="whitening").fit(x, y)
