"""A fit whose work is shared or interrupted is the fit of one process, bit for bit."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typing_extensions import override

import convrfm
from convrfm import ConvRFMClassifier, DeepConvRFMClassifier, kernels
from convrfm.errors import InputError
from convrfm.estimators.solving import agop_in_parts, iterative
from convrfm.estimators.solving.agop_in_parts import AgopInParts
from convrfm.storage.kept_state import KeptState
from convrfm.workers import DaskWorkers, workers

from .cases import pictures

pytest.importorskip("zarr")
pytest.importorskip("distributed")
KERNEL = kernels.Laplace(3)


@dataclass(frozen=True)
class DeadlyGradients(kernels.Laplace):
    """Kills the first process that takes gradients with it."""

    marker: str = ""

    @override
    def agop(self, *arguments: Any, **settings: Any) -> Any:
        try:
            Path(self.marker).touch(exist_ok=False)
        except FileExistsError:
            return super().agop(*arguments, **settings)
        return os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with workers(2) as found:
        assert isinstance(found, DaskWorkers)
        yield found._client.scheduler.address


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agop_in_parts, "PART", 7)


@pytest.fixture(autouse=True)
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory is for the kernel matrix."""
    monkeypatch.setattr(iterative.IterativeBasis, "_beyond_memory", True)


def classifier(folder: Path, kernel: Any = KERNEL, **settings: Any) -> ConvRFMClassifier:
    plain: dict[str, Any] = {"n_iterations": 1, "solver": "cg", "ridge": [1e-2, 1e-1], "keep": "last"}
    return ConvRFMClassifier(kernel, tile_folder=str(folder), **(plain | settings))


def in_parts(weights: torch.Tensor | None) -> AgopInParts:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(24, 1, 6, 6, generator=generator)
    return AgopInParts(KERNEL, torch.eye(9), z[2:20], z, torch.randn(24, 2, generator=generator), weights)


def unwatched(stage: str) -> None:
    return None


@pytest.mark.parametrize("weights", [None, torch.linspace(0.1, 3.0, 18)], ids=["equal", "weighted"])
def test_the_average_of_parts_is_that_of_all_images(
    weights: torch.Tensor | None, small_parts: None, tmp_path: Path
) -> None:
    found = in_parts(weights)
    whole = KERNEL.agop(found.x, found.z, found.coef, feature_matrix=torch.eye(9), weights=weights)
    torch.testing.assert_close(
        found.computed(tmp_path, None, unwatched, kept=True), whole.double(), rtol=1e-4, atol=1e-6
    )


def test_finished_parts_are_not_computed_again(
    small_parts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agop_in_parts, "KEPT_EVERY", -1.0)
    whole = in_parts(None).computed(tmp_path, None, unwatched, kept=False)
    computed: list[int] = []
    plain = AgopInParts.part

    def ending(self: AgopInParts, number: int) -> torch.Tensor:
        if number == 2 and len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(number)
        return plain(self, number)

    monkeypatch.setattr(AgopInParts, "part", ending)
    with pytest.raises(KeyboardInterrupt):
        in_parts(None).computed(tmp_path, None, unwatched, kept=True)
    computed.append(-1)
    for _ in range(2):
        assert torch.equal(in_parts(None).computed(tmp_path, None, unwatched, kept=True), whole)
    assert computed == [0, 1, -1, 2]


def test_gradients_are_not_computed_again_where_the_round_after_them_was_interrupted(
    small_parts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = pictures(24)
    expected = classifier(tmp_path / "alone").fit(x, y)
    plain, tiles, saved = iterative.IterativeBasis.path, tmp_path / "tiles", tmp_path / "model"

    class EndedError(Exception):
        """As by kill -9, while the matrix under the learned metric is made."""

    def ending(self: iterative.IterativeBasis, *arguments: Any, **settings: Any) -> Any:
        if self.metric is not None:
            raise EndedError
        return plain(self, *arguments, **settings)

    with monkeypatch.context() as patch, pytest.raises(EndedError):
        patch.setattr(iterative.IterativeBasis, "path", ending)
        classifier(tiles).fit(x, y, after_round=lambda so_far: so_far.save(saved))
    monkeypatch.setattr(AgopInParts, "part", lambda *_: pytest.fail("gradients are computed again"))
    settings = classifier(tiles).get_params(deep=False) | {"warm_start": True}
    later = convrfm.load(saved).set_params(**settings).fit(x, y)
    assert np.array_equal(later.decision_function(x), expected.decision_function(x))
    assert not list(tiles.iterdir())


@dataclass(frozen=True)
class Backwards:
    """Workers that finish the last piece first, and stop after so many."""

    pieces: int

    def results(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        for item in list(reversed(items))[: self.pieces]:
            yield item, work(item)
        if self.pieces < len(items):
            raise KeyboardInterrupt


def test_parts_are_added_in_their_order_in_whichever_they_come(
    small_parts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agop_in_parts, "KEPT_EVERY", -1.0)
    weights = torch.linspace(0.1, 3.0, 18)
    found = in_parts(weights)
    looped = torch.zeros(9, 9, dtype=torch.float64)
    for number, rows in enumerate(found.parts):
        share = weights[rows].double().sum() / sum(weights[each].double().sum() for each in found.parts)
        looped += share * found.part(number)
    with pytest.raises(KeyboardInterrupt):
        found.computed(tmp_path, Backwards(1), unwatched, kept=True)
    assert torch.equal(found.computed(tmp_path, Backwards(3), unwatched, kept=True), looped)
    assert torch.equal(found.computed(tmp_path, None, unwatched, kept=False), looped)


def test_parts_as_they_were_once_kept_are_computed_anew(small_parts: None, tmp_path: Path) -> None:
    found = in_parts(None)
    whole = found.computed(tmp_path, None, unwatched, kept=True)
    old = {"averages": torch.ones(3, 9, 9, dtype=torch.float64), "done": torch.ones(3, dtype=torch.bool)}
    KeptState(tmp_path / f"agop-{found._digest[:16]}.safetensors", found._digest).write(old)
    assert torch.equal(found.computed(tmp_path, None, unwatched, kept=True), whole)


def test_nothing_is_kept_where_nobody_could_go_on_from_it(small_parts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (agop_in_parts, iterative):
        monkeypatch.setattr(module, "KEPT_EVERY", -1.0)
    monkeypatch.setattr(KeptState, "write", lambda *_: pytest.fail("parts are kept"))
    monkeypatch.setattr(iterative, "write_state", lambda *_: pytest.fail("a solve is kept"))
    x, y = pictures(24)
    ConvRFMClassifier(KERNEL, n_iterations=1, solver="cg", ridge=1e-2).fit(x, y)


@pytest.mark.parametrize("weighted", [False, True])
def test_with_workers_a_fit_has_the_same_bits(
    weighted: bool, scheduler: str, small_parts: None, tmp_path: Path
) -> None:
    x, y = pictures(24)
    weights = np.linspace(0.5, 2.0, 24) if weighted else None
    alone = classifier(tmp_path).fit(x, y, weights)
    shared = classifier(tmp_path, workers=scheduler, solver="auto").fit(x, y, weights)
    assert np.array_equal(shared.feature_matrix_, alone.feature_matrix_)
    assert np.array_equal(shared.dual_coef_, alone.dual_coef_)
    assert shared.history_[1]["loo_error"] == alone.history_[1]["loo_error"]
    assert not list(tmp_path.iterdir())
    shared.save(tmp_path / "model")
    assert scheduler.encode() not in (tmp_path / "model").read_bytes()


def test_a_worker_killed_with_gradients_at_hand_changes_nothing(
    scheduler: str, small_parts: None, tmp_path: Path
) -> None:
    x, y = pictures(24)
    deadly = DeadlyGradients(3, marker=str(tmp_path / "killed"))
    shared = classifier(tmp_path / "tiles", deadly, workers=scheduler).fit(x, y)
    assert (tmp_path / "killed").exists()
    assert np.array_equal(shared.dual_coef_, classifier(tmp_path).fit(x, y).dual_coef_)


def test_where_nothing_can_be_shared_it_is_said(tmp_path: Path) -> None:
    x, y = pictures(24)
    for solver in ("exact", "features"):
        with pytest.raises(InputError, match="workers share the tiles"):
            DeepConvRFMClassifier(kernels.vanilla_ntk, depth=1, n_iterations=0, solver=solver, workers=1).fit(x, y)
    with pytest.raises(InputError, match="cannot leave out groups"):
        classifier(tmp_path, solver="auto", workers=1).fit(x, y, groups=np.arange(24) // 2)
    with pytest.raises(InputError, match="need a tile_folder"):
        ConvRFMClassifier(KERNEL, solver="cg", workers="tcp://127.0.0.1:9").fit(x, y)
