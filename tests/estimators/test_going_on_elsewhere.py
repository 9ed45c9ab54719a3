"""What memory is free decides where a matrix lies, and no bit of a fit; what was begun goes on so, on any machine."""

import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convrfm import ConvRFMClassifier, kernels
from convrfm.errors import InputError
from convrfm.estimators.ahead import choosing, footprint, outlook
from convrfm.estimators.kept.begun import BegunFit
from convrfm.estimators.solving import agop_in_parts, iterative
from convrfm.estimators.solving.iterative import Iterative
from convrfm.solvers.exact import RidgePath
from convrfm.solvers.iterative import IterativePath

from .cases import pictures

pytest.importorskip("zarr")
X, Y = pictures(24)
FREE = {"for tiles on disk": 8000, "for tiles in memory": 25_000, "for a decomposition": 10**9}  # bytes


@pytest.fixture(autouse=True)
def several_tiles_and_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iterative, "default_side", lambda n: 9)
    monkeypatch.setattr(agop_in_parts, "PART", 7)
    for module in (choosing, footprint):  # so few images have smaller matrices than these
        monkeypatch.setattr(module, "bytes_of_iterations", lambda *_, **__: 0)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda much: monkeypatch.setattr(choosing, "free_bytes", lambda device: FREE[much])


def classifier(folder: Path | None, **settings: Any) -> ConvRFMClassifier:
    plain: dict[str, Any] = {"n_iterations": 1, "ridge": [1e-2, 1e-1], "keep": "last"}
    return ConvRFMClassifier(
        kernels.Laplace(3), tile_folder=None if folder is None else str(folder), **(plain | settings)
    )


class KilledError(Exception):
    """A kill -9, of which the folder of that moment is what is left."""


def killed(model: ConvRFMClassifier, left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill a fit in its first solve."""

    def kill(*_: object) -> None:
        shutil.copytree(str(model.tile_folder), left)
        raise KilledError

    with monkeypatch.context() as patch:
        for path in (RidgePath, IterativePath):
            patch.setattr(path, "leave_one_out", kill)
        with pytest.raises(KilledError):
            model.fit(X, Y)


def same(a: ConvRFMClassifier, b: ConvRFMClassifier) -> None:
    assert np.array_equal(a.dual_coef_, b.dual_coef_)
    assert np.array_equal(a.feature_matrix_, b.feature_matrix_)
    assert a.fitted_.solver == b.fitted_.solver


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tiles_in_memory_and_on_disk_give_the_same_bits(
    dtype: Any, free: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = []
    on_disk: list[Path] = []
    plain = iterative.kept_kernel

    def noted(folder: Path, *others: Any, **settings: Any) -> Any:
        on_disk.append(folder)
        return plain(folder, *others, **settings)

    monkeypatch.setattr(iterative, "kept_kernel", noted)
    for much, rounds in (("for tiles on disk", 2), ("for tiles in memory", 0)):
        free(much)
        on_disk.clear()
        fits.append(classifier(tmp_path, solver="cg").fit(X.astype(dtype), Y))
        assert len(on_disk) == rounds
        assert not list(tmp_path.iterdir())
    same(*fits)


@pytest.mark.parametrize(("then", "now"), [pair for pair in product(FREE, FREE) if pair[0] != pair[1]])
def test_a_killed_fit_goes_on_to_its_own_bits_whatever_memory_is_free_by_then(
    then: str, now: str, free: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(then)
    whole = classifier(None).fit(X, Y)
    assert isinstance(whole.fitted_.solver, Iterative) == (then != "for a decomposition")
    killed(classifier(tmp_path / "here"), tmp_path / "elsewhere", monkeypatch)
    free(now)
    same(classifier(tmp_path / "elsewhere").fit(X, Y), whole)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_tiles_that_are_on_disk_are_gone_on_from_where_memory_would_hold_them(
    free: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free("for tiles on disk")
    killed(classifier(tmp_path / "here"), tmp_path / "elsewhere", monkeypatch)
    free("for tiles in memory")
    monkeypatch.setattr(iterative, "gathered", lambda *_: pytest.fail("computed again"))
    classifier(tmp_path / "elsewhere", n_iterations=0).fit(X, Y)


def test_what_no_longer_fits_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(classifier(tmp_path / "here"), tmp_path / "elsewhere", monkeypatch)
    for module in (choosing, outlook):
        monkeypatch.setattr(module, "free_bytes", lambda device: 20_000)
    with pytest.raises(InputError, match=r'24 images needs .* and .* can be used.*Pass solver="cg"'):
        classifier(tmp_path / "elsewhere").fit(X, Y)


@pytest.mark.parametrize("solver", ["auto", "cg", "features"])
def test_a_draw_that_no_seed_decides_is_gone_on_with(
    solver: str, free: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free("for tiles on disk")
    settings: dict[str, Any] = {"solver": solver, "random_state": None, "n_features": 5, "n_iterations": 0}
    if solver == "features":
        settings["kernel"] = kernels.NTK(kernels.vanilla(1))
    drawn = []
    for folder in (tmp_path / "here", tmp_path / "there"):
        model = classifier(folder).set_params(**settings)
        killed(model, folder.with_name(f"{folder.name}, elsewhere"), monkeypatch)
        again = [model.set_params(tile_folder=f"{folder}, elsewhere").fit(X, Y).fitted_.solver for _ in range(2)]
        assert again[0] != again[1]  # the first one went on, the second one began
        drawn.append(again[0])
    assert drawn[0] != drawn[1]


def test_other_images_kernels_and_damaged_words_have_begun_nothing(
    free: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free("for tiles on disk")
    killed(classifier(tmp_path / "here"), tmp_path / "elsewhere", monkeypatch)
    free("for a decomposition")
    (told,) = (tmp_path / "elsewhere").glob("begun-*.json")
    others = (
        (classifier(tmp_path / "elsewhere", n_iterations=0).set_params(kernel=kernels.Laplace(2)), X),
        (
            classifier(tmp_path / "elsewhere"),
            X + 1,
        ),
    )
    for model, x in others:
        assert not isinstance(model.fit(x, Y).fitted_.solver, Iterative)
    assert told.exists()
    told.write_text("{", encoding="utf-8")
    assert not isinstance(classifier(tmp_path / "elsewhere").fit(X, Y).fitted_.solver, Iterative)


def test_a_fit_that_ends_in_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError), pytest.warns(UserWarning, match="bandwidth"):
        classifier(tmp_path / "here").set_params(kernel=kernels.Laplace(3, bandwidth=1e-4)).fit(X, Y)
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("solver", ["exact", "cg"])
def test_a_folder_that_cannot_be_made_is_told(solver: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "within"):
        with pytest.raises(InputError, match="cannot write"):
            classifier(folder, solver=solver, n_iterations=0).fit(X, Y)


def test_an_address_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, told in (("s3://bucket/tiles", "it is an address"), (3, "tile_folder must be a folder; got 3")):
        with pytest.raises(InputError, match=told):
            classifier(None).set_params(tile_folder=folder).fit(X, Y)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("solver", ["exact", "cg"])
def test_a_folder_that_vanishes_costs_neither_the_fit_nor_its_own_error(
    solver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = classifier(tmp_path / "here", solver=solver, n_iterations=0)
    plain = BegunFit._leave

    def vanished(begun_fit: BegunFit, folder: Path, **told: bool) -> None:
        shutil.rmtree(folder)
        plain(begun_fit, folder, **told)

    monkeypatch.setattr(BegunFit, "_leave", vanished)
    assert fit.fit(X, Y).score(X, Y) > 0.5
    for path in (RidgePath, IterativePath):
        monkeypatch.setattr(path, "leave_one_out", lambda *_: (_ for _ in ()).throw(KilledError))
    with pytest.raises(KilledError):
        fit.fit(X, Y)
