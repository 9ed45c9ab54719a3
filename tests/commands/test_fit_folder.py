"""The folder of a fit: nothing finished is lost, nothing else is touched, and what cannot be written is told before."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import convrfm
from convrfm import datasets
from convrfm.cli import app
from convrfm.kernels import NTK
from convrfm.report.page import Page

pytestmark = pytest.mark.usefixtures("pages_without_pictures")

SMALL = ["--iterations", "3", "--n-train", "30", "--n-test", "20", "--sigma", "0.5", "--quiet", "--no-baselines"]
KINDS = {"shallow": ["--depth", "1"], "deep": ["--deep", "--depth", "2", "--filters", "3"]}
KINDS |= {
    "shallow on a validation part": KINDS["shallow"],
    "deep on a validation part": KINDS["deep"],
    "shallow in folds": [*KINDS["shallow"], "--cv", "2"],
    "deep in folds": [*KINDS["deep"], "--cv", "2"],
}
AGOPS_IN_A_ROUND = {kind: 3 if "folds" in kind else 1 for kind in KINDS}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], terminal_width=200)


class EndedError(Exception):
    """As by kill -9: nothing after it runs that belongs to the fit."""


def end_after(calls_left: int, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> list[int]:
    """Let an AGOP raise after so many; the list that is returned has an entry for each call."""
    plain, calls = NTK.agop, list[int]()

    def agop(*arguments: object, **keywords: object) -> object:
        calls.append(1)
        if len(calls) == calls_left + 1:
            raise error
        return plain(*arguments, **keywords)

    monkeypatch.setattr(NTK, "agop", agop)
    return calls


def rounds(folder: Path) -> int:
    return sum(len(layer.rounds) for layer in convrfm.load(folder).layers_)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An array file with a validation part."""
    path = tmp_path_factory.mktemp("data") / "parts.npz"
    x, y = datasets.bars(70, sigma=0.5, generator=np.random.default_rng(0))
    arrays: dict[str, np.ndarray] = {}
    for name, at in {"train": slice(30), "val": slice(30, 50), "test": slice(50, 70)}.items():
        arrays |= {f"{name}_images": x[at], f"{name}_labels": y[at]}
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def whole(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("whole")
    for kind in KINDS:
        result = run(*command_of(kind, parts), "--out", folder / kind)
        assert result.exit_code == 0, result.output
    return {kind: folder / kind for kind in KINDS}


def command_of(kind: str, parts: Path) -> list[str | Path]:
    if "validation" in kind:
        return ["fit", parts, "--iterations", "3", "--quiet", "--no-baselines", *KINDS[kind]]
    return ["fit", "bars", *SMALL, *KINDS[kind]]


@pytest.mark.parametrize(("kind", "finished"), [(kind, 4 if "deep" in kind else 1) for kind in KINDS])
def test_a_killed_fit_goes_on_after_its_finished_rounds(
    kind: str, finished: int, parts: Path, whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*command_of(kind, parts), "--out", tmp_path / "run"]
    total = 3 * (2 if "deep" in kind else 1) * AGOPS_IN_A_ROUND[kind]
    finished *= AGOPS_IN_A_ROUND[kind]
    end_after(finished, monkeypatch, EndedError())
    assert isinstance(run(*command).exception, EndedError)
    (tmp_path / "run" / ".writing-half").write_bytes(b"half")
    kept = rounds(tmp_path / "run")
    monkeypatch.undo()
    calls = end_after(99, monkeypatch, EndedError())
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert f"Going on after {kept} finished rounds" in result.output
    assert len(calls) == total - finished
    assert (tmp_path / "run" / "predictions.csv").read_bytes() == (whole[kind] / "predictions.csv").read_bytes()
    assert {path.name for path in (tmp_path / "run").iterdir()} == {path.name for path in whole[kind].iterdir()}


COMPARED = {
    "depths": ["--depth", "1", "--depth", "2"],
    "patches in folds": ["--depth", "1", "--patch-size", "3", "--patch-size", "5", "--cv", "2"],
    "deep": ["--deep", "--depth", "1", "--depth", "2", "--filters", "3"],
}


@pytest.mark.parametrize(
    ("kind", "error"),
    [("depths", EndedError()), ("patches in folds", EndedError()), ("deep", KeyboardInterrupt())],
    ids=["killed among depths", "killed among patches in folds", "interrupted among deep ones"],
)
def test_a_fit_that_compares_models_keeps_those_that_are_finished(
    kind: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["fit", "bars", *SMALL, *COMPARED[kind]]
    each = 3 if "folds" in kind else 1
    calls = end_after(99, monkeypatch, error)
    assert run(*command, "--out", tmp_path / "whole").exit_code == 0
    total = len(calls)
    monkeypatch.undo()
    end_after(4 * each, monkeypatch, error)  # three in the first model, and the first of the second
    run(*command, "--out", tmp_path / "run")
    monkeypatch.undo()
    calls = end_after(99, monkeypatch, error)
    result = run(*command, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "Going on after 6 finished rounds" in result.output
    assert len(calls) == total - 4 * each
    whole, again = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("whole", "run"))
    assert [{**c, "seconds": 0} for c in again["candidates"]] == [{**c, "seconds": 0} for c in whole["candidates"]]
    assert (tmp_path / "run" / "predictions.csv").read_bytes() == (tmp_path / "whole" / "predictions.csv").read_bytes()
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "run")]
    assert abs(sizes[0] - sizes[1]) < 200  # nothing is left of the other models


def test_an_interrupted_fit_says_so_and_the_same_command_goes_on(
    whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["fit", "bars", *SMALL, *KINDS["shallow"], "--out", tmp_path / "run"]
    end_after(1, monkeypatch, KeyboardInterrupt())
    result = run(*command)
    assert result.exit_code == 130, result.output
    assert "keeps 2 of 4 rounds" in result.output
    assert "The same command goes on with it" in result.output
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert (metrics["finished"], len(metrics["rounds"])) == (False, 2)
    assert "This fit was interrupted" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    monkeypatch.undo()
    assert run(*command).exit_code == 0
    assert (tmp_path / "run" / "predictions.csv").read_bytes() == (whole["shallow"] / "predictions.csv").read_bytes()
    assert "This fit was interrupted" not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("error", [EndedError(), KeyboardInterrupt()], ids=["failed", "interrupted"])
def test_a_fit_that_ended_while_its_page_was_written_goes_on_to_the_page(
    error: BaseException, whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["fit", "bars", *SMALL, *KINDS["shallow"], "--out", tmp_path / "run"]

    def write(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Page, "write", write)
        ended = run(*command)
        assert ended.exit_code != 0
        assert ("the same command goes on with them" in ended.output) is isinstance(error, KeyboardInterrupt)
    calls = end_after(0, monkeypatch, EndedError())
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert "Going on after 4 finished rounds" in result.output
    assert not calls
    assert contents(tmp_path / "run").keys() == contents(whole["shallow"]).keys()
    assert json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))["finished"]


def test_an_interrupted_fit_may_go_on_without_its_baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["fit", "bars", *(word for word in SMALL if word != "--no-baselines"), *KINDS["shallow"]]
    end_after(1, monkeypatch, EndedError())
    run(*command, "--out", tmp_path / "run")
    monkeypatch.undo()
    result = run(*command, "--no-baselines", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "Going on after 2 finished rounds" in result.output
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert (metrics["settings"]["baselines"], metrics["baselines"]) == (False, [])


def test_other_settings_and_finished_runs_are_left_alone(
    whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["fit", "bars", *SMALL, *KINDS["shallow"], "--out", tmp_path / "run"]
    end_after(1, monkeypatch, EndedError())
    run(*command)
    monkeypatch.undo()
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    other = run(*command, "--seed", "1")
    assert other.exit_code == 2
    assert "holds an unfinished run with --seed 0." in other.output
    assert "holds an unfinished run with no --augment." in run(*command, "--augment", "flip").output
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before
    (again,) = [run("fit", "bars", *SMALL, *KINDS["shallow"], "--out", whole["shallow"])]
    assert again.exit_code == 2
    assert run(*command, "--seed", "1", "--overwrite").exit_code == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))["settings"]["seed"] == 1


def test_a_damaged_unfinished_model_is_told_and_the_fit_begins_anew(
    whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["fit", "bars", *SMALL, *KINDS["shallow"], "--out", tmp_path / "run"]
    end_after(1, monkeypatch, EndedError())
    run(*command)
    monkeypatch.undo()
    (tmp_path / "run" / "model.safetensors").write_bytes(b"damaged")
    result = run(*command)
    assert result.exit_code == 0
    assert "begins anew" in result.output
    assert (tmp_path / "run" / "predictions.csv").read_bytes() == (whole["shallow"] / "predictions.csv").read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [["nowhere"], ["bars", *SMALL, "--patch-size", "40"]],
    ids=["by no data", "by patches that are too large"],
)
def test_a_run_comes_back_that_is_overwritten_by_what_cannot_be_fitted(
    arguments: list[str], whole: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(whole["shallow"], tmp_path / "run")
    assert run("fit", *arguments, "--out", tmp_path / "run", "--overwrite").exit_code == 2
    assert contents(tmp_path / "run") == contents(whole["shallow"])


@pytest.mark.parametrize("finished", [True, False], ids=["finished", "unfinished"])
def test_a_run_comes_back_that_is_overwritten_by_a_fit_that_is_killed_before_its_first_round(
    finished: bool, whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, killed = ["fit", "bars", *SMALL, *KINDS["shallow"], "--out"], tmp_path / "killed"
    if finished:
        shutil.copytree(whole["shallow"], tmp_path / "run")
    else:
        end_after(1, monkeypatch, EndedError())
        run(*command, tmp_path / "run")
        monkeypatch.undo()
    before = contents(tmp_path / "run")

    def end(*_: object, **__: object) -> None:
        shutil.copytree(tmp_path / "run", killed)
        raise EndedError

    monkeypatch.setattr(convrfm.ConvRFMClassifier, "fit", end)
    assert isinstance(run(*command, tmp_path / "run", "--seed", "1", "--overwrite").exception, EndedError)
    monkeypatch.undo()
    assert contents(tmp_path / "run") == before
    assert ".earlier-run/model.safetensors" in contents(killed)
    assert run("fit", "nowhere", "--out", killed).exit_code == 2
    assert contents(killed) == before


def test_an_overwritten_run_is_gone_when_the_new_one_has_a_model(
    whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, killed = ["fit", "bars", *SMALL, *KINDS["shallow"], "--seed", "1", "--out"], tmp_path / "killed"
    shutil.copytree(whole["shallow"], tmp_path / "run")

    def end(*_: object, **__: object) -> None:
        shutil.copytree(tmp_path / "run", killed)
        raise EndedError

    monkeypatch.setattr(NTK, "agop", end)
    assert isinstance(run(*command, tmp_path / "run", "--overwrite").exception, EndedError)
    monkeypatch.undo()
    assert contents(tmp_path / "run").keys() == {"model.safetensors", "settings.json"}
    assert ".earlier-run/model.safetensors" in contents(killed)
    assert "Going on after 1 finished round" in run(*command, killed).output
    assert {path.name for path in killed.iterdir()} == {path.name for path in whole["shallow"].iterdir()}


OF_OTHERS = {
    "report.html": "by hand",
    "metrics.json": '{"accuracy": 0.9}',
    "settings.json": '{"tabs": 4}',
    "weights.safetensors": "weights",
    "layers.csv": "layers",
    "report.json": '{"tests": 3}',
    "network.json": '{"nodes": []}',
    "plots/mine.png": "a plot",
    "tiles/mine.png": "a tile",
}


@pytest.mark.parametrize(
    "command",
    [["fit", "bars"], ["train", "vanilla", "bars"], ["cnfa", "convrfm.networks:resnet20", "bars"]],
    ids=" ".join,
)
def test_overwriting_replaces_runs_and_nothing_else(command: list[str], tmp_path: Path) -> None:
    for name, text in OF_OTHERS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = run(*command, "--out", tmp_path, "--overwrite")
    assert result.exit_code == 2
    assert "something else than a run of this command. Choose another --out." in " ".join(result.output.split())
    assert {name: (tmp_path / name).read_text(encoding="utf-8") for name in OF_OTHERS} == OF_OTHERS


def test_a_run_that_never_began_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    assert run("fit", "nowhere", "--out", tmp_path / "run").exit_code == 2
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    assert run("fit", "nowhere", "--out", tmp_path / "run").exit_code == 2
    assert run("fit", "bars", *SMALL, *KINDS["shallow"], "--out", tmp_path / "run").exit_code == 0
