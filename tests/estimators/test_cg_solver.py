"""Fits by conjugate gradients: the exact fit's predictions, on disk where memory ends, and continued where they ended."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convrfm
from convrfm import ConvRFMClassifier, ConvRFMRegressor, kernels
from convrfm.errors import InputError
from convrfm.estimators import candidates
from convrfm.estimators.ahead import outlook
from convrfm.estimators.ahead.footprint import bytes_of
from convrfm.estimators.kept import fitted_layers
from convrfm.estimators.solving import iterative
from convrfm.kernels.kernel_tiles import KernelTiles
from convrfm.solvers.conjugate_gradients import State

from .cases import CHEAP, pictures

pytest.importorskip("zarr")
NTK = kernels.NTK(kernels.vanilla(1))
every_estimator = pytest.mark.parametrize("estimator", CHEAP)


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory is for the kernel matrix."""
    monkeypatch.setattr(iterative.IterativeBasis, "_beyond_memory", True)


def classifier(**settings: Any) -> ConvRFMClassifier:
    return ConvRFMClassifier(
        **({"kernel": NTK, "n_iterations": 1, "solver": "cg", "ridge": [1e-2, 1e-1], "keep": "last"} | settings)
    )


def outputs(model: Any, x: np.ndarray) -> list[np.ndarray]:
    return [np.asarray(stage) for stage in model.staged_outputs(x)]


@every_estimator
def test_a_fit_is_the_exact_one_stage_by_stage(estimator: type) -> None:
    x, y = pictures(24)
    settings = CHEAP[estimator] | {"ridge": 1e-1, "keep": "last"}
    exact, solved = (estimator(**settings, solver=solver).fit(x, y) for solver in ("exact", "cg"))
    for expected, found in zip(outputs(exact, x[:7]), outputs(solved, x[:7]), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_leave_one_out_is_near_the_exact_one_in_its_squared_errors_and_shows_no_accuracy(tmp_path: Path) -> None:
    """An estimate lets a part of an image's own label in, which random labels would be right by."""
    x, y = pictures(40)
    exact, solved = (classifier(solver=solver).fit(x, y) for solver in ("exact", "cg"))
    for here, there in zip(exact.history_[0]["path"], solved.history_[0]["path"], strict=True):
        assert here["error"] == pytest.approx(there["error"], rel=0.3)
        assert "accuracy" not in there
    assert "loo_accuracy" not in solved.history_[0]
    assert solved.history_[0]["train_accuracy"] == exact.history_[0]["train_accuracy"]
    assert solved.temperature_ == pytest.approx(exact.temperature_, rel=0.3)
    assert solved.layers_[0].kept.judged.rank == (0.0, -solved.history_[1]["loo_error"])
    solved.save(tmp_path / "model")
    assert convrfm.load(tmp_path / "model").history_ == solved.history_
    by_folds = classifier(cv=3).fit(x, y).history_[0]
    assert "cv_accuracy" in by_folds
    assert "loo_accuracy" not in by_folds


@pytest.mark.parametrize("beyond_memory", [False, True])
def test_a_kernel_that_knows_nothing_of_other_images_is_refused_in_memory_and_on_disk(
    beyond_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iterative.IterativeBasis, "_beyond_memory", beyond_memory)
    x, y = pictures(24)
    unrelated = kernels.Laplace(3, bandwidth=1e-4)
    with (
        pytest.warns(UserWarning, match="bandwidth"),
        pytest.raises(InputError, match="no training image resembles another"),
    ):
        classifier(kernel=unrelated).fit(x, y)


@pytest.mark.filterwarnings("ignore:.*is not positive definite:UserWarning")
def test_images_nearly_alike_are_fitted_as_by_the_exact_solver() -> None:
    """Five pictures each, all but the same, in float32: rounding may be larger than the smallest ridges."""
    generator = np.random.default_rng(0)
    pictured = np.repeat(generator.standard_normal((60, 1, 6, 6)), 5, 0)
    x = (pictured + 1e-3 * generator.standard_normal(pictured.shape)).astype(np.float32)
    y = np.repeat(np.arange(60) % 2, 5)
    settings: dict[str, Any] = {"kernel": kernels.Laplace(3), "n_iterations": 0, "ridge": [1e-6, 1e-1]}
    solved = classifier(**settings).fit(x, y)
    exact = classifier(**settings, solver="exact").fit(x, y)
    assert solved.ridge_ == exact.ridge_
    assert solved.score(x, y) == exact.score(x, y)


class EndedError(Exception):
    """As by kill -9: nothing after it runs that belongs to the fit."""


@pytest.mark.parametrize("solves_before", [0, 1])
def test_an_interrupted_solve_goes_on_with_its_tiles_and_its_state_to_the_same_bits(
    solves_before: int, on_disk: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = pictures(24)
    settings: dict[str, Any] = {"tile_folder": str(tmp_path)}
    whole = classifier(**settings).fit(x, y)
    monkeypatch.setattr(iterative, "KEPT_EVERY", -1.0)
    plain, solves = iterative.write_state, [0]

    def ending(path: Path, tensors: dict[str, Any], computation: str) -> None:
        plain(path, tensors, computation)
        solves[0] += int(tensors["iterations"]) == 1
        if solves[0] > solves_before and int(tensors["iterations"]) == 3:
            raise EndedError

    monkeypatch.setattr(iterative, "write_state", ending)
    with pytest.raises(EndedError):
        classifier(**settings).fit(x, y)
    seen: list[int] = []

    def watching(path: Path, tensors: dict[str, Any], computation: str) -> None:
        seen.append(int(State(**tensors).iterations))

    monkeypatch.setattr(iterative, "write_state", watching)
    computed: list[tuple[int, int]] = []
    of_tiles = KernelTiles.tile

    def counting(self: KernelTiles, place: tuple[int, int]) -> Any:
        computed.append(place)
        return of_tiles(self, place)

    monkeypatch.setattr(KernelTiles, "tile", counting)
    again = classifier(**settings).fit(x, y)
    assert len(computed) == 1  # of two rounds: the tiles of the other are there
    assert 4 in seen
    assert seen.count(3) == 1
    assert np.array_equal(again.dual_coef_, whole.dual_coef_)
    assert not list(tmp_path.iterdir())


def test_auto_takes_what_fits_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = pictures(300)
    exact = classifier(solver="exact").fit(x, y)
    assert np.array_equal(classifier(solver="auto").fit(x, y).dual_coef_, exact.dual_coef_)
    assert capsys.readouterr().err == ""
    settings: dict[str, Any] = {"ridge": 1e-1, "memory_budget": 4_600_000}
    by_cg = classifier(solver="auto", **settings).fit(x, y)
    said = capsys.readouterr().err
    assert "300 images would be decomposed" in said
    assert 'solver="cg"' in said
    assert np.array_equal(by_cg.dual_coef_, classifier(**settings).fit(x, y).dual_coef_)


def test_deviations_are_refused_where_memory_does_not_hold_a_decomposition(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = pictures(24)
    model = ConvRFMRegressor(NTK, n_iterations=0, solver="cg", ridge=1e-1).fit(x, y)
    monkeypatch.setattr(fitted_layers, "free_bytes", lambda device: 1000)
    with pytest.raises(InputError, match="standard deviations decompose the kernel matrix of 24 images"):
        model.predict(x[:3], return_std=True)


def test_any_seed_decides_the_draw() -> None:
    x, y = pictures(24)
    coefs = [classifier(random_state=seed).fit(x, y).dual_coef_ for seed in (2**70 + 1, 2**70 + 1, 2**64 - 1)]
    assert np.array_equal(coefs[0], coefs[1])
    assert not np.array_equal(coefs[0], coefs[2])


@every_estimator
def test_a_saved_fit_predicts_the_same(estimator: type, tmp_path: Path) -> None:
    x, y = pictures(24)
    model = estimator(**(CHEAP[estimator] | {"solver": "cg", "tile_folder": str(tmp_path / "tiles")})).fit(x, y)
    model.save(tmp_path / "model")
    loaded = convrfm.load(tmp_path / "model")
    assert np.array_equal(loaded.predict(x[:5]), model.predict(x[:5]))
    assert loaded.solver == "cg"
    assert loaded.tile_folder is None
    assert b"tiles" not in (tmp_path / "model").read_bytes()


def test_what_it_will_take_is_linear_in_the_images_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = pictures(24)
    classifier(verbose=True).fit(x, y)
    assert "fitting 2 rounds on 24 images" in capsys.readouterr().err
    model = classifier().fit(x, y)
    seen: list[int] = []

    def look(plan: Any, problem: Any, *others: Any, **settings: Any) -> Any:
        on_disk = replace(problem, solver=replace(problem.solver, memory=0))
        seen.extend(bytes_of(plan, on_disk, n, 0) for n in (10**4, 10**6))
        assert bytes_of(plan, problem, 10**4, 0) - seen[0] == 8 * 10**8 <= problem.solver.memory
        return outlook.outlook(plan, problem, *others, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "outlook", look)
        model.fit(x, y)
    assert 100 < seen[1] / seen[0] < 1000  # the preconditioner's rank grows with the root; n^2 would be 10,000
    assert seen[0] < 8 * 10**8  # of one matrix of doubles


def test_a_warm_start_goes_on() -> None:
    x, y = pictures(24)
    whole = classifier(n_iterations=2).fit(x, y)
    model = classifier(n_iterations=1, warm_start=True).fit(x, y).set_params(n_iterations=2).fit(x, y)
    assert np.array_equal(model.dual_coef_, whole.dual_coef_)


def test_folds_and_selections_choose_as_with_the_exact_solver() -> None:
    x, y = pictures(30)
    other = pictures(20, seed=3)
    for settings in ({"cv": 3}, {"choose_on": "selection"}):
        selection = other if "choose_on" in settings else None
        exact, solved = (
            classifier(solver=solver, **settings).fit(x, y, selection=selection) for solver in ("exact", "cg")
        )
        assert exact.ridge_ == solved.ridge_
        np.testing.assert_allclose(solved.decision_function(x[:5]), exact.decision_function(x[:5]), atol=2e-3)


def test_what_cannot_be_done_is_told_with_the_remedy() -> None:
    x, y = pictures(24)
    groups = np.arange(24) // 2
    with pytest.raises(InputError, match="cannot leave out groups"):
        classifier().fit(x, y, groups=groups)
    with pytest.raises(InputError, match="memory_budget=1000 allows"):
        classifier(solver="exact", memory_budget=1000).fit(x, y)
    with pytest.raises(InputError, match="memory_budget=1000 allows"):
        classifier(solver="auto", memory_budget=1000).fit(x, y, groups=groups)
    with pytest.raises(InputError, match=r"with 2 ridges hold .* allows .* at work\. Pass .* one ridge"):
        classifier(memory_budget=1000).fit(x, y)
    with pytest.raises(InputError, match="memory_budget"):
        classifier(memory_budget=0).fit(x, y)
