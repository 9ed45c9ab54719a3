"""One road for every experiment: what it leaves, what it refuses, and that an interruption costs one step."""

import html
import io
import json
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from joblib.externals.loky.backend.reduction import dumps
from rich.console import Console
from typer.testing import CliRunner, Result

from convrfm import ConvRFMClassifier
from convrfm.cli import app
from convrfm.commands.reproduce import summary_table
from convrfm.errors import InputError
from convrfm.estimators.learning import rounds
from convrfm.experiments import gathering, noisy_mnist
from convrfm.experiments.catalogue import EXPERIMENTS
from convrfm.experiments.experiment import Experiment, Line, Run, Verdict
from convrfm.experiments.finished_run import FinishedRun, read_run
from convrfm.experiments.pages import versions_of
from convrfm.experiments.reproduce import Request, identity_of, reproduce
from convrfm.experiments.run_folder import IDENTITY, STEPS, read_identity, read_lines
from convrfm.experiments.scale import Scale
from convrfm.report.markdown import markdown_page
from convrfm.storage.digests import with_digest
from convrfm.storage.lines import as_line

from .conftest import SmokeRun

pytestmark = pytest.mark.usefixtures("pages_without_pictures")

STAR = {"name": "star", "n": 20, "sigmas": [1.0], "seeds": 1, "depth": 1}
SIMPLE = {"data_set": "noisy-digits", "width": 4, "epochs": 1, "milestones": []}
CLOCK = ("seconds", "fit_seconds", "test_seconds")


def run(name: str, out: Path, *arguments: str | Path) -> Result:
    words = ["reproduce", name, "--scale", "smoke", "--quiet", "--out", out, *arguments]
    return CliRunner().invoke(app, [str(word) for word in words], terminal_width=200)


def numbers(folder: Path) -> list[Line]:
    """Every step's line, without what a clock decides."""
    return [{name: value for name, value in line.items() if name not in CLOCK} for line in read_lines(folder)]


@pytest.fixture
def finished(smoke_run: Callable[[str], SmokeRun]) -> Path:
    return smoke_run("noisy-mnist").folder


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_every_experiment_runs_small_and_says_what_became_of_its_claim(
    name: str, smoke_run: Callable[[str], SmokeRun]
) -> None:
    found = smoke_run(name)
    record = json.loads((found.folder / "record.json").read_text())
    assert record["experiment"] == name
    assert record["claim"] == EXPERIMENTS[name].claim
    assert record["verdict"] in list(Verdict)
    assert record["verdict"] in " ".join(found.output.split())
    as_html, markdown = ((found.folder / page).read_text() for page in ("report.html", "page.md"))
    for page in (as_html, markdown):
        assert EXPERIMENTS[name].title in page
        assert record["command"] in page
        assert "only the machinery is shown" in page
        assert "{'" not in html.unescape(page), "a setting is shown as Python's dictionary"
    assert "://" not in as_html
    pictures = re.findall(r"\]\((plots/.*?\.png)\)", markdown)
    assert pictures
    assert all((found.folder / picture).is_file() for picture in pictures)


def test_the_published_star_run_is_reproduced_to_all_printed_digits(smoke_run: Callable[[str], SmokeRun]) -> None:
    published = numbers(smoke_run("star").folder)[0]
    assert (published["seed"], *(published[when] for when in ("fixed", "learned"))) == pytest.approx(
        (1717, 77.95121951219512, 94.82926829268293), abs=1e-9
    )


def test_rounds_are_those_of_the_estimator_with_the_published_settings(finished: Path) -> None:
    settings = noisy_mnist.EXPERIMENT.settings[Scale.SMOKE]
    images = noisy_mnist.NoisyMnist(
        noisy_mnist.Run(settings, Scale.SMOKE, seed=0, device="auto", data=None, files=finished)
    )
    model = ConvRFMClassifier.from_preset("science-2024", kernel=noisy_mnist.MODEL.kernel, ridge=1e-5)
    model.fit(*images.train)
    x_test, y_test = images.test
    found = numbers(finished)
    accuracies = [float((predicted == y_test).mean()) for predicted in model.staged_predict(x_test)]
    assert [line["test_accuracy"] for line in found] == accuracies
    errors = [((outputs - np.eye(10)[y_test]) ** 2).sum(1).mean() for outputs in model.staged_outputs(x_test)]
    np.testing.assert_allclose([line["test_error"] for line in found], errors, rtol=1e-5)
    assert [line["loo_accuracy"] for line in found] == [r["loo_accuracy"] for r in model.history_]


def test_an_interrupted_run_continues_to_the_same_numbers(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, begun = rounds.fit_round, []

    def counted(*arguments: object) -> object:
        begun.append(1)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return plain(*arguments)

    monkeypatch.setattr(rounds, "fit_round", counted)
    assert run("noisy-mnist", tmp_path / "run").exit_code == 130
    assert [line["round"] for line in numbers(tmp_path / "run")] == [0, 1]
    other = run("noisy-mnist", tmp_path / "run", "--seed", "1")
    assert other.exit_code == 2
    assert "seed 0 (now 1)" in " ".join(other.output.split())
    assert run("noisy-mnist", tmp_path / "run").exit_code == 0
    assert len(begun) == 5
    assert numbers(tmp_path / "run") == numbers(finished)


@pytest.mark.parametrize("name", ["theorem1", "bars"])
def test_a_killed_run_continues_to_the_same_numbers(
    name: str, smoke_run: Callable[[str], SmokeRun], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "convrfm", "reproduce", name, "--scale", "smoke", "--quiet", "--out"]
    process = subprocess.Popen([*command, str(tmp_path / "run")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    steps = tmp_path / "run" / "steps.jsonl"
    while process.poll() is None and not (steps.exists() and steps.read_bytes().count(b"\n") >= 2):
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it had ended by itself"
    assert not (tmp_path / "run" / "record.json").exists()
    reproduce(EXPERIMENTS[name], Request(Scale.SMOKE), tmp_path / "run")
    continued, whole = tmp_path / "run", smoke_run(name).folder
    records = [json.loads((folder / "record.json").read_text()) for folder in (continued, whole)]
    assert records[0]["numbers"] == records[1]["numbers"]
    assert numbers(continued) == numbers(whole)


def test_steps_computed_beside_each_other_find_the_same(smoke_run: Callable[[str], SmokeRun], tmp_path: Path) -> None:
    reproduce(EXPERIMENTS["fig5"], Request(Scale.SMOKE), tmp_path / "run", jobs=2)
    lines = [numbers(folder) for folder in (tmp_path / "run", smoke_run("fig5").folder)]
    by_step = [sorted(each, key=lambda line: json.dumps(line, sort_keys=True)) for each in lines]
    assert by_step[0] == by_step[1]


@pytest.mark.parametrize(
    "experiment", [each for each in EXPERIMENTS.values() if not each.in_order], ids=lambda each: each.name
)
def test_steps_reach_another_process(experiment: Experiment[Any], tmp_path: Path) -> None:
    run = Run(experiment.settings[Scale.SMOKE], Scale.SMOKE, seed=0, device="auto", data=None, files=tmp_path)
    for step in experiment.plan(run):
        assert pickle.loads(dumps(step)).at == step.at


def test_steps_that_need_each_other_are_not_computed_beside_each_other(tmp_path: Path) -> None:
    result = run("noisy-mnist", tmp_path / "run", "--jobs", "2")
    assert result.exit_code == 2
    assert "leave --jobs 2 out" in " ".join(result.output.split())
    assert not (tmp_path / "run").exists()


def test_other_images_under_the_same_name_are_noticed(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    images = {f"x_{part}": generator.integers(0, 256, (200, 28, 28), np.uint8) for part in ("train", "test")}
    labels = {f"y_{part}": np.arange(200) % 10 for part in ("train", "test")}
    data = tmp_path / "digits.npz"
    np.savez(data, **images, **labels)
    assert run("noisy-mnist", tmp_path / "run", "--data", data).exit_code == 0
    np.savez(data, **{name: 255 - x for name, x in images.items()}, **labels)
    result = run("noisy-mnist", tmp_path / "run", "--data", data)
    assert result.exit_code == 2
    assert "fingerprint of the data" in " ".join(result.output.split())


def test_runs_below_the_data_are_no_data(tmp_path: Path) -> None:
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "a.npz").write_bytes(b"images")
    request, out = Request(Scale.SMOKE, data=str(tmp_path)), tmp_path / "runs" / "fig1-smoke"
    before = identity_of(EXPERIMENTS["fig1"], request, out)
    for folder in (out, tmp_path / "runs" / "fig2-smoke"):
        (folder / "files").mkdir(parents=True)
        (folder / "files" / "weights.safetensors").write_bytes(b"weights")
    (tmp_path / "runs" / "fig2-smoke" / IDENTITY).write_text("{}")
    assert identity_of(EXPERIMENTS["fig1"], request, out) == before
    (tmp_path / "cifar10" / "a.npz").write_bytes(b"other images")
    assert identity_of(EXPERIMENTS["fig1"], request, out) != before


def test_all_versions_that_steps_ran_with_are_told() -> None:
    """Also where as many ran with each: an update came in the middle."""
    assert versions_of([{"versions": told} for told in ("torch 2", "torch 2", "torch 3", "torch 3", "torch 4")]) == {
        "2 of 5 steps": "torch 2",
        "another 2 of 5 steps": "torch 3",
        "1 of 5 steps": "torch 4",
    }


def test_a_changed_setting_is_run_printed_and_repeated(tmp_path: Path) -> None:
    words = [
        "reproduce",
        "bars",
        "--scale",
        "smoke",
        "--out",
        tmp_path / "run",
        "--set",
        "sigmas=[2]",
        "--set",
        "seeds=3",
    ]
    result = CliRunner().invoke(app, [str(word) for word in words], terminal_width=200)
    assert result.exit_code == 0, result.output
    assert "sigmas 2.0; " in result.output
    assert [(line["sigma"], line["seed"]) for line in numbers(tmp_path / "run")] == [(2.0, 0), (2.0, 1), (2.0, 2)]
    command = json.loads((tmp_path / "run" / "record.json").read_text())["command"]
    assert command == "convrfm reproduce bars --scale smoke --seed 0 --set seeds=3 --set 'sigmas=[2.0]'"


def test_brackets_in_a_table_are_letters_in_the_terminal(finished: Path) -> None:
    """Such as x[u]: rich would take them for its markup."""
    found = read_run(finished, EXPERIMENTS)
    finding = replace(found.finding, header=["the map |x[u]|"], rows=[["[red]"]], caption="|M x[u]|")
    experiment = replace(found.experiment, conclude=lambda run, lines: finding)
    console = Console(width=30, record=True, file=io.StringIO())
    console.print(summary_table(replace(found, experiment=experiment)))
    told = " ".join(console.export_text().split())
    for text in (*finding.header, *finding.rows[0], finding.caption):
        assert str(text) in told


def test_the_list_names_every_experiment_with_its_data_and_times() -> None:
    result = CliRunner().invoke(app, ["reproduce", "--list"], terminal_width=300)
    assert result.exit_code == 0
    for name, experiment in EXPERIMENTS.items():
        assert name in result.output
        assert experiment.data is None or experiment.data[:20] in result.output
        assert experiment.minutes.keys() == experiment.settings.keys() == set(Scale)


def test_the_table_gathers_runs_and_says_what_is_left_out(smoke_run: Callable[[str], SmokeRun], tmp_path: Path) -> None:
    root = tmp_path / "runs"
    for name in ("theorem1", "begun"):
        shutil.copytree(smoke_run("theorem1").folder, root / name)
    steps = root / "begun" / "steps.jsonl"
    steps.write_text("".join(steps.read_text().splitlines(keepends=True)[:4]))
    (root / "theorem1" / "page.md").unlink()
    result = CliRunner().invoke(app, ["reproduce", "table", "--out", str(root)])
    assert result.exit_code == 0, result.output
    page = (root / "README.md").read_text()
    assert EXPERIMENTS["theorem1"].claim.split(",")[0] in page
    assert "begun: 4 of 18 steps are finished" in page
    assert "| [theorem1](theorem1/page.md) |" in page
    assert (root / "theorem1" / "page.md").is_file()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", f"its {IDENTITY} is damaged"),
        ('{"experiment": "theorem1", "scale": "tiny"}', f"its {IDENTITY} is damaged"),
        ({"scale": "tiny"}, f"{IDENTITY} is not what this version of convrfm writes (ValueError(\"'tiny'"),
        ({"experiment": ["theorem1"]}, f"{IDENTITY} is not what this version"),
        ({"experiment": "theorem2"}, "a run of theorem2, which this version does not know"),
        ({"seed": {}, "settings": 3}, f"{IDENTITY} is not what this version"),
        ({"settings": {"width": "wide"}}, "setting width: "),
    ],
    ids=str,
)
def test_a_run_whose_identity_cannot_be_read_is_left_out_in_words(
    text: str | Line, told: str, smoke_run: Callable[[str], SmokeRun], tmp_path: Path
) -> None:
    for name in ("whole", "other"):
        shutil.copytree(smoke_run("theorem1").folder, tmp_path / name)
    if isinstance(text, dict):
        text = json.dumps(with_digest(read_identity(tmp_path / "other") | text))
    (tmp_path / "other" / IDENTITY).write_text(str(text))
    runs, page = gathering.gathered(tmp_path, EXPERIMENTS)
    assert [folder.name for folder in runs] == ["whole"]
    assert told in markdown_page(page).partition("other: ")[2]


@pytest.mark.parametrize("change", [{"cosine": None}, {"cosine": "1.0"}, {"cosine": [1.0]}, {}], ids=str)
def test_results_that_this_version_does_not_read_are_told_with_their_file(
    change: Line, smoke_run: Callable[[str], SmokeRun], tmp_path: Path
) -> None:
    """Each line says what was written, by a version whose steps found something else; in {} nothing."""
    for name in ("whole", "other"):
        shutil.copytree(smoke_run("theorem1").folder, tmp_path / name)
    lines = [{k: v for k, v in line.items() if k != "cosine"} | change for line in read_lines(tmp_path / "other")]
    (tmp_path / "other" / STEPS).write_text("".join(map(as_line, lines)))
    runs, page = gathering.gathered(tmp_path, EXPERIMENTS)
    assert [folder.name for folder in runs] == ["whole"]
    assert f"{tmp_path / 'other' / STEPS} is not what this version of convrfm writes" in markdown_page(page)
    again = run("theorem1", tmp_path / "other")
    assert again.exit_code == 2
    assert "Repeat its command with --overwrite" in " ".join(again.output.split())


def test_the_table_reads_each_run_once_and_tells_what_cannot_be_written(
    smoke_run: Callable[[str], SmokeRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, read = tmp_path / "runs", list[str]()
    shutil.copytree(smoke_run("theorem1").folder, root / "theorem1")

    def counted(folder: Path, experiments: Any) -> FinishedRun:
        read.append(folder.name)
        return read_run(folder, experiments)

    def full(*_: object) -> None:
        raise InputError("cannot write page.md: No space left on device.")

    monkeypatch.setattr(gathering, "read_run", counted)
    monkeypatch.setattr(gathering, "write_pages", full)
    result = CliRunner().invoke(app, ["reproduce", "table", "--out", str(root)], terminal_width=200)
    assert result.exit_code == 2
    assert "cannot write page.md" in result.output
    assert read == ["theorem1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([""], "NAME is missing. convrfm reproduce --list shows"),
        (["fig99"], "NAME must be one of bars, cnfa-table, .*got fig99"),
        (["noisy-mnist", "--scale", "full"], "needs --data: MNIST as an .npz file with x_train, y_train"),
        (["noisy-mnist", "--data", "sklearn:digits"], "images of 1 x 28 x 28"),
        (["star", "--data", "bars"], "generates its own images"),
        (["theorem1", "--device", "cuda"], "computed on the CPU|device of this machine"),
        (["cnfa-table", "--set", 'networks=["VGG-12"]'], "networks must be of ResNet-20, CIFAR-10, .*got VGG-12"),
        (["fig2", "--set", 'networks=["VGG-12"]'], "networks must be of SqueezeNet 1.1, .*got VGG-12"),
        (["fig12", "--set", 'networks=["VGG-12"]'], "networks must be of SqueezeNet 1.1, .*got VGG-12"),
        (["fig6", "--set", 'data_sets=["STL-10"]'], "data sets must be of CIFAR-10, .*got STL-10"),
        (["small-data", "--set", 'data_sets=["STL-10"]'], "data_sets must be of CIFAR-10, .*got STL-10"),
        (["pooled-features", "--set", 'data_sets=["USPS", "USPS"]'], "each once; got USPS twice"),
        (["presets", "--set", 'tasks=["stars"]'], "tasks must be of bars, sigma 2, .*got stars"),
        (["fig5", "--set", f"tasks={json.dumps([STAR])}"], "tasks must be of bars, noisy MNIST, each once; got star"),
        (["bars", "--set", "sigma=1"], "no such setting; the settings are n_train, "),
        (["bars", "--set", "n_train=many"], "setting n_train: .*got 'many'"),
        (["bars", "--set", "n_train"], "takes NAME=VALUE"),
        (["bars", "--set", "sigmas=[1, 1]"], r"the step sigma 1\.0; seed 0 is there twice"),
        (["star", "--seed", "1717"], "the step seed 1717 is there twice.*choose another --seed"),
        (["bars", "--set", "sigmas=[]"], "leave nothing to compute"),
        (["bars", "--set", "seeds=0"], "--set seeds must be at least 1; got 0"),
        (
            ["fig5", "--set", f"tasks={json.dumps([STAR | {'name': 'bars', 'seeds': 0}])}"],
            "tasks.seeds must be at least 1",
        ),
        (
            ["fig8", "--set", f"tasks={json.dumps([SIMPLE, SIMPLE | {'width': 8}])}"],
            "each once; got noisy-digits twice",
        ),
        (["random-features", "--set", "n_features=[16]"], "n_features must be two numbers or more; got 1"),
        (["table"], "no sub-folder with a run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_reproduced_is_said(arguments: list[str], message: str, tmp_path: Path) -> None:
    name, *others = arguments
    result = run(name, tmp_path / "run", *others)
    assert result.exit_code == 2
    assert re.search(message, " ".join(result.output.split()))
