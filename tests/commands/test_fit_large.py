"""A fit whose kernel matrix is beyond the memory goes through tiles in the run folder, and on from them when it was killed."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import convrfm
from convrfm.cli import app
from convrfm.estimators.ahead import choosing
from convrfm.estimators.solving import iterative
from convrfm.storage.atomic import write_json

pytestmark = pytest.mark.usefixtures("pages_without_pictures")

pytest.importorskip("zarr")
SMALL = [
    "fit", "bars", "--depth", "1", "--iterations", "1", "--n-train", "30", "--n-test", "20", "--sigma", "0.5", "--quiet",
]  # fmt: skip


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], terminal_width=200)


class EndedError(Exception):
    """As by kill -9: nothing after it runs that belongs to the fit."""


@pytest.fixture(autouse=True, scope="module")
def little_memory() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choosing, "free_bytes", lambda device: 10_000)  # for a metric, for no decomposition
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large") / "run"
    result = run(*SMALL, "--out", folder)
    assert result.exit_code == 0, result.output
    assert "30 images would be decomposed" in result.output
    return folder


@pytest.mark.parametrize("solves_before", [0, 1])
def test_killed_in_a_solve_the_same_command_goes_on_to_the_same_predictions(
    solves_before: int, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, tiles = [*SMALL, "--out", tmp_path / "run"], tmp_path / "run" / "tiles"
    monkeypatch.setattr(iterative, "KEPT_EVERY", -1.0)
    plain, solves = iterative.write_state, [0]

    def ending(path: Path, tensors: dict[str, Any], computation: str) -> None:
        plain(path, tensors, computation)
        solves[0] += int(tensors["iterations"]) == 1
        if solves[0] > solves_before and int(tensors["iterations"]) == 2:
            raise EndedError

    monkeypatch.setattr(iterative, "write_state", ending)
    assert isinstance(run(*command).exception, EndedError)
    assert list(tiles.rglob("K.zarr"))
    other = run(*command, "--seed", "1")
    assert (other.exit_code, "with --seed 0." in other.output) == (2, True)
    monkeypatch.setattr(iterative, "write_state", plain)
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()
    assert {path.name for path in (tmp_path / "run").iterdir()} == {path.name for path in whole.iterdir()}
    assert not tiles.exists()


def test_to_begin_anew_removes_the_tiles(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run" / "tiles" / "old").mkdir(parents=True)
    write_json(tmp_path / "run" / "settings.json", {"data": "bars", "seed": 9})
    assert run(*SMALL, "--out", tmp_path / "run").exit_code == 2
    assert (tmp_path / "run" / "tiles" / "old").exists()
    assert run(*SMALL, "--out", tmp_path / "run", "--overwrite").exit_code == 0
    assert not (tmp_path / "run" / "tiles").exists()


def test_an_overwritten_run_is_kept_beside_the_tiles_of_one_that_has_no_model(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(whole, tmp_path / "run")
    command, names = [*SMALL, "--seed", "1", "--out", tmp_path / "run"], {path.name for path in whole.iterdir()}

    def end(*_: object) -> None:
        raise EndedError

    monkeypatch.setattr(iterative, "KEPT_EVERY", -1.0)
    with monkeypatch.context() as patch:
        patch.setattr(iterative, "write_state", end)
        ended = run(*command, "--overwrite")
    assert isinstance(ended.exception, EndedError)
    earlier = tmp_path / "run" / ".earlier-run"
    assert f"The earlier run is kept in {earlier} until this one has a model." in ended.output
    assert convrfm.load(earlier).random_state == 0
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    assert run("fit", "nowhere", "--out", tmp_path / "other", "--overwrite").exit_code == 2
    assert {path.name for path in (tmp_path / "other").iterdir()} == names
    assert convrfm.load(tmp_path / "other").random_state == 0
    assert run(*command).exit_code == 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == names
    assert convrfm.load(tmp_path / "run").random_state == 1
