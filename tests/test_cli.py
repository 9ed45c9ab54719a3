"""What a person at a terminal gets."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner, Result

import convrfm
from convrfm import datasets, kernels
from convrfm.cli import app
from convrfm.commands.terminal import worded
from convrfm.kernels.engines.cpu.flat.engine import BoundFlat

pytestmark = pytest.mark.usefixtures("pages_without_pictures")

SMALL = ["--depth", "1", "--iterations", "1", "--n-train", "40", "--n-test", "30", "--sigma", "0.5"]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], terminal_width=200)


@pytest.fixture(scope="module")
def bars_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "bars"
    result = run("fit", "bars", *SMALL, "--out", folder, "--quiet")
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def deep_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "deep"
    size = [
        "--depth",
        "2",
        "--filters",
        "4",
        "--iterations",
        "1",
        "--n-train",
        "40",
        "--n-test",
        "30",
        "--sigma",
        "0.5",
    ]
    result = run("fit", "bars", "--deep", *size, "--cv", "2", "--out", folder, "--quiet")
    assert result.exit_code == 0, result.output
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def picture_folder(folder: Path, mode: str = "L", sizes: tuple[int, ...] = (16,)) -> Path:
    generator = np.random.default_rng(0)
    for name, brightness in (("dark", 40), ("bright", 200)):
        (folder / name).mkdir(parents=True)
        for i in range(12):
            size = sizes[i % len(sizes)]
            pixels = generator.integers(brightness - 30, brightness + 30, (size, size, 3)).astype(np.uint8)
            Image.fromarray(pixels).convert(mode).save(folder / name / f"{i:02}.png")
    return folder


def test_fit_writes_a_run_that_agrees_with_itself(bars_run: Path) -> None:
    assert {p.name for p in bars_run.iterdir()} == {
        "model.safetensors", "metrics.json", "predictions.csv", "report.html", "plots"
    }  # fmt: skip
    metrics = json.loads((bars_run / "metrics.json").read_text())
    rows = table(bars_run / "predictions.csv")
    hits = np.mean([row["true"] == row["predicted"] for row in rows])
    kept = metrics["rounds"][metrics["best_iteration"]]
    assert (len(rows), len(metrics["rounds"])) == (30, 2)
    assert kept["test_accuracy"] == pytest.approx(hits)
    assert kept["test_interval"][0] < hits < kept["test_interval"][1] or hits == 1
    assert {p.stem for p in (bars_run / "plots").iterdir()} - {"mistakes"} == {
        "rounds", "eigenvectors", "spectrum", "feature_maps", "confusion"
    }  # fmt: skip
    page = (bars_run / "report.html").read_text()
    assert f"{100 * hits:.1f}%" in page
    assert "://" not in page


def test_several_models_are_compared_in_one_fit(tmp_path: Path) -> None:
    result = run("fit", "bars", *SMALL, "--kernel", "ntk", "--kernel", "laplace", "--quiet", "--out", tmp_path / "both")
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "both" / "metrics.json").read_text())
    scores = {candidate["name"]: candidate["held_out_score"] for candidate in metrics["candidates"]}
    assert list(scores) == ["ntk of vanilla, patches of 3, depth 1", "laplace, patches of 3"]
    assert metrics["rounds"][metrics["best_iteration"]]["loo_accuracy"] == max(scores.values())
    for name in scores:
        assert name in result.output
        assert name in (tmp_path / "both" / "report.html").read_text()


def test_a_deep_run_is_kept_stage_by_stage(deep_run: Path) -> None:
    metrics = json.loads((deep_run / "metrics.json").read_text())
    rounds, kept = metrics["rounds"], metrics["best_iterations"]
    assert [(r["layer"], r["iteration"]) for r in rounds] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    tested = {(r["layer"], r["iteration"]) for r in rounds if r["test_accuracy"] is not None}
    assert tested == {(1, 0), (1, kept[0]), (2, kept[1])}
    rows = table(deep_run / "predictions.csv")
    hits = np.mean([row["true"] == row["predicted"] for row in rows])
    (last,) = (r for r in rounds if (r["layer"], r["iteration"]) == (2, kept[1]))
    assert last["test_accuracy"] == pytest.approx(hits)
    assert metrics["selected_on"] == "cv"
    assert all("cv_accuracy" in r for r in rounds)
    assert len(metrics["kernels"]) == 2
    (centering,) = metrics["centerings"]
    (tried,) = (r["centerings"] for r in rounds if "centerings" in r)
    assert centering in [way["centering"] for way in tried]
    assert {p.stem for p in (deep_run / "plots").iterdir()} - {"mistakes"} == {
        "stages", "rounds", "eigenvectors", "spectrum", "feature_maps", "confusion"
    }  # fmt: skip
    page = (deep_run / "report.html").read_text()
    assert "Deep ConvRFM on bars" in page
    assert f"{100 * hits:.1f}%" in page


def test_probabilities_are_those_of_the_model(deep_run: Path, tmp_path: Path) -> None:
    model = convrfm.load(deep_run / "model.safetensors")
    data = convrfm.datasets.load("bars", n_train=40, n_test=30, sigma=0.5)
    rows = table(deep_run / "predictions.csv")
    written = [[float(row[f"p {label}"]) for label in model.classes_] for row in rows]
    np.testing.assert_allclose(written, model.predict_proba(data.x_test), atol=1e-4)
    np.savez(tmp_path / "more.npz", x=data.x_test, y=data.y_test)
    result = run("predict", deep_run, tmp_path / "more.npz", "--out", tmp_path / "again.csv")
    assert result.exit_code == 0, result.output
    assert "accuracy: " in result.output
    for again, row in zip(table(tmp_path / "again.csv"), rows, strict=True):
        assert {name: row[name] for name in again if name != "name"} == {n: v for n, v in again.items() if n != "name"}


def flags(settings: dict[str, object]) -> list[str]:
    """The options of a command line with these settings; several values of one are given one by one."""
    options = {"--" + name.replace("_", "-"): value for name, value in settings.items() if value not in (None, False)}
    words = []
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            words += [name] if each is True else [name, str(each)]
    return words


@pytest.mark.parametrize("fixture", ["bars_run", "deep_run"])
def test_the_settings_in_the_metrics_reproduce_the_run(
    fixture: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    before: Path = request.getfixturevalue(fixture)
    settings = json.loads((before / "metrics.json").read_text())["settings"]
    data = settings.pop("data")
    assert run("fit", data, *flags(settings), "--out", tmp_path / "again", "--quiet").exit_code == 0
    assert (tmp_path / "again" / "predictions.csv").read_bytes() == (before / "predictions.csv").read_bytes()


@pytest.mark.parametrize("kernel", ["nngp", "laplace", "gaussian"])
def test_layers_take_the_kernel_that_is_named(kernel: str, tmp_path: Path) -> None:
    size = ["--depth", "2", "--filters", "3", "--iterations", "1", "--n-train", "20", "--n-test", "10"]
    result = run("fit", "bars", "--deep", "--kernel", kernel, "--patch-size", "5", *size, "--out", tmp_path, "--quiet")
    assert result.exit_code == 0, result.output
    kernels = convrfm.load(tmp_path / "model.safetensors").kernels_
    assert [type(k).__name__.lower() for k in kernels] == [kernel] * 2
    assert [k.window.size for k in kernels] == [5, 5]


def test_a_run_is_not_overwritten_unasked(bars_run: Path) -> None:
    before = (bars_run / "model.safetensors").read_bytes()
    result = run("fit", "bars", *SMALL, "--out", bars_run, "--quiet")
    assert result.exit_code == 2
    assert "--overwrite" in result.output
    assert (bars_run / "model.safetensors").read_bytes() == before


def test_folders_of_pictures_are_learned_and_labeled(tmp_path: Path) -> None:
    photos = picture_folder(tmp_path / "photos", "RGB", sizes=(16, 24))
    (photos / "dark" / "broken.png").write_bytes(b"\x89PNG broken")
    arguments = ["fit", photos, "--depth", "1", "--iterations", "1", "--out", tmp_path / "run"]
    stopped = run(*arguments, "--image-size", "12")
    assert stopped.exit_code == 2
    assert "broken.png" in stopped.output
    mixed = run(*arguments, "--unreadable", "skip")
    assert mixed.exit_code == 2
    assert "Pass --image-size 20" in mixed.output
    fitted = run(*arguments, "--image-size", "12", "--unreadable", "skip")
    assert fitted.exit_code == 0, fitted.output
    notes = json.loads((tmp_path / "run" / "metrics.json").read_text())["notes"]
    assert any("broken.png" in note for note in notes)
    assert any("held out" in note for note in notes)

    single = run("predict", tmp_path / "run", photos / "bright" / "03.png", "--out", tmp_path / "one.csv")
    assert single.exit_code == 0, single.output
    assert "bright" in single.output
    whole = run("predict", tmp_path / "run", photos, "--unreadable", "skip", "--out", tmp_path / "all.csv")
    assert "accuracy: 100.00%" in whole.output
    rows = table(tmp_path / "all.csv")
    assert len(rows) == 24
    assert all(row["true"] == row["predicted"] for row in rows)


def test_runs_among_the_pictures_are_learned_by_no_other_run(tmp_path: Path) -> None:
    photos = picture_folder(tmp_path / "photos")
    for name in ("fit", "fit-2"):
        size = ["--depth", "1", "--iterations", "0", "--image-size", "8", "--quiet"]
        fitted = run("fit", photos, *size, "--out", photos / "runs" / name)
        assert fitted.exit_code == 0, fitted.output
        metrics = json.loads((photos / "runs" / name / "metrics.json").read_text())
        assert (metrics["classes"], metrics["n_train"] + metrics["n_test"]) == (["bright", "dark"], 24)
        assert any((photos / "runs" / name / "plots").glob("*.png"))
    assert f"Left out of {photos}, runs of convrfm: runs/fit, runs/fit-2." in metrics["notes"]


def test_predicting_again_gives_what_the_run_recorded(bars_run: Path) -> None:
    model = convrfm.load(bars_run / "model.safetensors")
    data = convrfm.datasets.load("bars", n_train=40, n_test=30, sigma=0.5)
    rows = table(bars_run / "predictions.csv")
    assert [str(label) for label in model.predict(data.x_test)] == [row["predicted"] for row in rows]
    assert model.preprocessing_ == data.preprocessing


def test_a_table_of_predictions_is_not_replaced_unless_that_is_asked_for(bars_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    out.write_text("by hand")
    arguments = ["predict", bars_run, "bars", "--out", out]
    refused = run(*arguments)
    assert refused.exit_code == 2
    assert "labels.csv exists already" in " ".join(refused.output.split())
    assert out.read_text() == "by hand"
    assert run(*arguments, "--overwrite").exit_code == 0
    assert set(table(out)[0]) >= {"name", "predicted"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "nowhere"], "folder with one sub-folder per class"),
        (["fit", "nowhere", "--ridge", "-1"], "greater than or equal to 0|x>=0"),
        (["fit", "nowhere", "--depth", "0"], "greater than or equal to 1|x>=1"),
        (["fit", "nowhere", "--ridge", "nan"], "ridge"),
        (["fit", "nowhere", "--device", "abacus"], "device must be"),
        (["fit", "bars", "--patch-size", "40"], "too small"),
        (["fit", "bars", "--deep", "--depth", "9"], "cannot carry depth 9"),
        (["fit", "nowhere", "--deep", "--filters", "0"], "greater than or equal to 1|x>=1"),
        (["fit", "nowhere", "--cv", "1"], "greater than or equal to 2|x>=2"),
        (["fit", "star", "--sigma", "1"], "sigma belongs to"),
        (["fit", "bars", "--n-train", "1"], "classes|at least"),
        (["fit", "bars", "--labels", "table.csv"], "belong to a folder"),
        (["predict", "nowhere", "bars"], "no model file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_are_sentences_and_not_tracebacks(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = run(*arguments, *(["--out", tmp_path / "run", "--quiet"] if arguments[0] == "fit" else []))
    assert result.exit_code == 2
    assert re.search(message, " ".join(result.output.split()))
    assert "Traceback" not in result.output


def test_a_validation_part_chooses_or_trains(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        picture_folder(tmp_path / "photos" / part)
    arguments = ["fit", tmp_path / "photos", "--depth", "1", "--iterations", "1", "--image-size", "8", "--quiet"]
    chosen = run(*arguments, "--out", tmp_path / "chosen")
    assert "the selection set" in chosen.output
    assert "The validation images are what the fit chooses on" in chosen.output
    folds = run(*arguments, "--cv", "2", "--out", tmp_path / "folds")
    assert "The validation images are not used: folds choose" in folds.output
    joined = run(*arguments, "--validation", "train", "--out", tmp_path / "joined")
    assert "leave-one-out" in joined.output
    metrics = [json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("chosen", "joined")]
    assert [m["n_train"] for m in metrics] == [24, 48]
    assert [m["n_test"] for m in metrics] == [24, 24]


def test_a_validation_part_chooses_the_shrinkage_too(tmp_path: Path) -> None:
    """As the selection set of an estimator does; without one the command is refused, and says what may choose."""
    for part in ("train", "val", "test"):
        picture_folder(tmp_path / "photos" / part)
    amounts = [0.0, 0.5, 0.9]
    arguments = ["--depth", "1", "--iterations", "1", "--quiet", "--no-baselines"]
    several = [*arguments, *(word for amount in amounts for word in ("--shrinkage", str(amount)))]
    chosen = run("fit", tmp_path / "photos", "--image-size", "8", *several, "--out", tmp_path / "run")
    assert chosen.exit_code == 0, chosen.output
    images = datasets.load(tmp_path / "photos", seed=0, image_size=(8, 8))
    settings = {"n_iterations": 1, "shrinkage": amounts, "choose_on": "selection", "random_state": 0}
    model = convrfm.ConvRFMClassifier(kernels.vanilla_ntk(1), **settings)
    model.fit(images.x_train, images.y_train, selection=images.selection)
    fitted = convrfm.load(tmp_path / "run")
    assert fitted.layers_[0].rounds[1].shrinkage == model.layers_[0].rounds[1].shrinkage
    assert fitted.history_[1]["selection_error"] == pytest.approx(model.history_[1]["selection_error"])
    for data in (["bars"], [tmp_path / "photos", "--validation", "train"]):
        refused = run("fit", *data, *several, "--out", tmp_path / "refused")
        assert refused.exit_code == 2
        assert "Choose by folds that learn an M each (--cv 5) or on a validation part" in refused.output


def test_a_table_of_labels_takes_the_place_of_class_folders(tmp_path: Path) -> None:
    photos = picture_folder(tmp_path / "photos")
    rows = [f"{path.parent.name}/{path.name},{path.parent.name[0]}" for path in photos.rglob("*.png")]
    (tmp_path / "labels.csv").write_text("file,label\n" + "\n".join(rows))
    size = ["--depth", "1", "--iterations", "0", "--image-size", "8", "--quiet"]
    fitted = run("fit", photos, "--labels", tmp_path / "labels.csv", *size, "--out", tmp_path / "run")
    assert fitted.exit_code == 0, fitted.output
    assert {row["true"] for row in table(tmp_path / "run" / "predictions.csv")} == {"b", "d"}


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")]
)
def test_too_little_memory_is_a_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("convrfm.datasets.load", exhausted)
    result = run("fit", "bars", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "not enough memory" in result.output
    assert "--n-train" in result.output


def test_a_name_that_the_terminal_cannot_show_is_no_reason_to_stop(tmp_path: Path) -> None:
    photos = picture_folder(tmp_path / "photos")
    (photos / "dark").rename(photos / "猫")
    command = [
        sys.executable,
        "-m",
        "convrfm",
        "fit",
        photos,
        "--image-size",
        "8",
        "--depth",
        "1",
        "--iterations",
        "0",
    ]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = subprocess.run([*command, "--out", tmp_path / "run"], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "run" / "predictions.csv").open(encoding="utf-8") as file:
        assert "猫" in {row["true"] for row in csv.DictReader(file)}


def test_the_version_is_told() -> None:
    assert run("--version").output == f"convrfm {version('convrfm')}\n"


def test_what_is_said_twice_is_shown_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @worded
    def twice() -> None:
        for _ in range(2):
            warnings.warn("image_size is small", UserWarning, stacklevel=1)
        warnings.warn("image_size is small", UserWarning, stacklevel=1)

    text = io.StringIO()
    complaints = Console(file=text, width=100)
    monkeypatch.setattr("convrfm.commands.terminal.complaints", complaints)
    twice()
    assert text.getvalue().count("small") == 1


def test_the_doctor_names_engine_and_versions() -> None:
    result = run("doctor")
    assert result.exit_code == 0
    for word in ("engine on cpu", "threads", "torch", "torchvision", "gpytorch"):
        assert word in result.output


def test_the_doctor_writes_what_it_found(tmp_path: Path) -> None:
    assert run("doctor", "--seed", "3", "--out", tmp_path / "findings.json").exit_code == 0
    found = json.loads((tmp_path / "findings.json").read_text())
    assert found["cpu engine on cpu"].startswith("sound")
    assert found["torch"]


def test_the_doctor_finds_an_engine_that_computes_wrong_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = BoundFlat.kernel
    monkeypatch.setattr(BoundFlat, "kernel", lambda *arguments: 1.01 * plain(*arguments))
    result = run("doctor")
    assert result.exit_code == 1
    assert "WRONG" in result.output


@pytest.mark.parametrize("command", ["demo", "fit", "predict", "cnfa", "reproduce", "doctor"])
def test_every_command_explains_itself_and_takes_what_all_take(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    for word in ("Usage", "--seed", "--device", "--out"):
        assert word in re.sub("\x1b.*?m", "", result.output)


def test_help_comes_without_torch() -> None:
    asked = "import sys; from convrfm.cli import app; app(['fit', '--help'], standalone_mode=False)"
    heavy = "print('heavy:', sorted({'torch', 'numpy', 'sklearn', 'matplotlib'} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", f"{asked}; {heavy}"], check=True, capture_output=True, text=True)
    assert "Usage" in found.stdout
    assert found.stdout.rstrip().endswith("heavy: []")


@pytest.mark.parametrize("name", convrfm.__all__)
def test_every_public_name_is_there_on_first_use(name: str) -> None:
    assert getattr(convrfm, name) is not None
    assert name in dir(convrfm)


def test_layers_that_lose_against_the_fixed_kernel_are_called_a_loss_in_the_terminal(tmp_path: Path) -> None:
    size = ["--depth", "2", "--filters", "2", "--n-train", "16", "--n-test", "8", "--sigma", "30", "--cv", "2"]
    arguments = ["fit", "bars", "--deep", *size, "--iterations", "0", "--seed", "8", "--no-baselines", "--quiet"]
    said = run(*arguments, "--out", tmp_path / "run").output
    first, *_, last = json.loads((tmp_path / "run" / "metrics.json").read_text())["rounds"]
    assert last["cv_accuracy"] < first["cv_accuracy"]
    assert "Learning lost (cross-validation: 56.2% with the fixed kernel, 50.0% after 2 layers)." in said
    assert "Without --deep the fixed kernel is kept" in said
