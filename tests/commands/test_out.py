"""What every command does with the names that it is to write: told before work, kept from others, replaced after a kill."""

import errno
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from typer.testing import CliRunner, Result

from convrfm import ConvRFMClassifier, cnfa, kernels, networks
from convrfm.cli import app

pytestmark = pytest.mark.usefixtures("pages_without_pictures")

FOLDERS = {
    "fit": ["fit", "nowhere"],
    "train": ["train", "vanilla", "nowhere"],
    "cnfa": ["cnfa", "convrfm.networks:resnet20", "nowhere"],
    "reproduce": ["reproduce", "noisy-mnist", "--data", "nowhere"],
    "demo": ["demo"],
    "kernel": ["kernel", "nowhere"],
}
FILES = {
    "predict --out": ["predict", "nowhere", "nowhere", "--out"],
    "predict --page": ["predict", "nowhere", "nowhere", "--page"],
    "doctor": ["doctor", "--out"],
}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], terminal_width=200)


def a_file(folder: Path) -> Path:
    (folder / "run").touch()
    return folder / "run"


def a_folder(folder: Path) -> Path:
    (folder / "run").mkdir()
    return folder / "run"


def below_a_file(folder: Path) -> Path:
    return a_file(folder) / "deeper"


def in_no_folder(folder: Path) -> Path:
    return folder / "missing" / "run"


def too_long(folder: Path) -> Path:
    return folder / ("x" * 300)


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever computes without data is found out; files with names of their own are written elsewhere."""
    for work in ("convrfm.commands.demo.load", "convrfm.commands.doctor.findings"):
        monkeypatch.setattr(work, lambda *_, **__: pytest.fail("it began to work"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("make", [a_file, below_a_file, too_long])
@pytest.mark.parametrize("command", FOLDERS)
def test_a_folder_that_cannot_be_written_is_told_before_data_are_read(
    command: str, make: Callable[[Path], Path], tmp_path: Path
) -> None:
    result = run(*FOLDERS[command], "--out", make(tmp_path))
    assert result.exit_code == 2
    assert re.search("cannot write|exists already|too long", result.output), result.output


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("make", [a_folder, below_a_file, in_no_folder, too_long])
@pytest.mark.parametrize("command", FILES)
def test_a_file_that_cannot_be_written_is_told_before_anything_is_read_or_computed(
    command: str, make: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = make(tmp_path)
    for options in [[], ["--overwrite"]] if command.startswith("predict") else [[]]:
        result = run(*FILES[command], path, *options)
        assert result.exit_code == 2
        assert re.search("cannot write|exists already|too long", result.output), result.output
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("command", FOLDERS)
def test_two_runs_do_not_write_to_one_folder(command: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / ".lock"):
        result = run(*FOLDERS[command], "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "another convrfm writes" in result.output


class EndedError(Exception):
    """As by kill -9: nothing after it runs that belongs to the run."""


def end_after_file(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is killed once so many files have appeared."""
    plain, written = Path.replace, list[Path]()

    def replace(self: Path, target: Path) -> Path:
        path = plain(self, target)
        written.append(path)
        if len(written) == number:
            raise EndedError
        return path

    monkeypatch.setattr(Path, "replace", replace)


def fill_the_disk_at_file(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full as soon as so many files have appeared."""
    plain, written = Path.replace, list[Path]()

    def replace(self: Path, target: Path) -> Path:
        if len(written) >= number:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(target)
        return plain(self, target)

    monkeypatch.setattr(Path, "replace", replace)


SMALL = {  # fits are those of test_fit_folder.py
    "cnfa": [
        *("cnfa", "convrfm.networks:resnet20", "bars", "--layers", "conv1", "--probes", "1", "--n-images", "2"),
        *("--scale", "none", "--quiet"),
    ],
    "train": [
        *("train", "vanilla", "sklearn:digits", "--width", "2", "--depth", "1", "--n-train", "40", "--n-test", "20"),
        *("--epochs", "1", "--every", "1", "--n-images", "2", "--quiet"),
    ],
    "reproduce": [*("reproduce", "star", "--scale", "smoke", "--set", "n_train=8", "--set", "n_test=8", "--quiet")],
}
IS_THERE: dict[str, Callable[[Path], object]] = {
    "cnfa": cnfa.Report.load,
    "train": networks.load_trained,
    "reproduce": lambda folder: json.loads((folder / "record.json").read_text(encoding="utf-8")),
}


@pytest.mark.parametrize(
    ("command", "end", "earlier"),
    [(command, end_after_file, False) for command in SMALL]
    + [("cnfa", end_after_file, True), ("reproduce", end_after_file, True), ("cnfa", fill_the_disk_at_file, False)],
)
def test_whatever_an_ended_run_leaves_is_replaced_when_asked(
    command: str,
    end: Callable[[int, pytest.MonkeyPatch], None],
    earlier: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever file it wrote last, in a new folder or over an earlier run."""
    assert run(*SMALL[command], "--out", tmp_path / "whole").exit_code == 0
    names = {path.name for path in (tmp_path / "whole").iterdir()}
    for number in count(1):
        out = tmp_path / str(number)
        if earlier:
            shutil.copytree(tmp_path / "whole", out)
        with monkeypatch.context() as patch:
            end(number, patch)
            ended = run(*SMALL[command], "--out", out, *(["--overwrite"] if earlier else []))
        result = run(*SMALL[command], "--out", out, "--overwrite")
        assert result.exit_code == 0, result.output
        assert {path.name for path in out.iterdir()} == names
        assert IS_THERE[command](out)
        if ended.exit_code == 0:
            break
    assert number >= 4


def test_a_killed_report_never_stands_beside_the_page_of_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*SMALL["cnfa"], "--out", tmp_path / "run", "--overwrite"]
    assert run(*command).exit_code == 0
    end_after_file(2, monkeypatch)
    assert isinstance(run(*command, "--seed", "1").exception, EndedError)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"report.json", "layers.safetensors"}


def test_a_table_without_its_page_is_replaced_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).random((8, 1, 6, 6)).astype(np.float32)
    ConvRFMClassifier(kernels.Laplace(3), n_iterations=0).fit(x, np.arange(8) % 2).save(tmp_path / "model")
    np.savez(tmp_path / "more.npz", x=x[:, 0])
    files = ["--out", tmp_path / "table.csv", "--page", tmp_path / "page.html"]
    command = ["predict", tmp_path / "model", tmp_path / "more.npz", *files]
    with monkeypatch.context() as patch:
        end_after_file(1, patch)
        assert isinstance(run(*command).exception, EndedError)
    assert not (tmp_path / "page.html").exists()
    assert run(*command).exit_code == 2
    assert run(*command, "--overwrite").exit_code == 0
    assert (tmp_path / "page.html").is_file()


@pytest.mark.parametrize(
    ("command", "option"),
    [("predict", "--out"), ("predict", "--page"), ("doctor", "--out"), ("fit", ""), ("cnfa", ""), ("demo", "")],
)
def test_what_is_there_already_is_told_before_anything_heavy_is_imported(
    command: str, option: str, tmp_path: Path
) -> None:
    path = tmp_path / "there" / "report.html"
    path.parent.mkdir()
    path.write_text("an earlier one")
    words = [*FILES[f"predict {option}" if command == "predict" else command][:-1], option, str(path)] if option else []
    words = words or [*FOLDERS[command], "--out", str(path.parent)]
    words += ["--out", str(tmp_path / "table.csv")] if option == "--page" else []
    asked = f"import sys; sys.modules['torch'] = sys.modules['numpy'] = None; from convrfm.cli import app; app({words})"
    found = subprocess.run([sys.executable, "-c", asked], check=False, capture_output=True, text=True)
    assert found.returncode == 2
    assert "exists already" in found.stderr
    assert "--overwrite" in found.stderr
    assert path.read_text() == "an earlier one"


def test_a_report_of_the_tour_is_replaced_when_asked_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "report.html"
    monkeypatch.setattr("convrfm.commands.demo._run", lambda out, **_: ([], out / "report.html"))
    report.write_text("an earlier one")
    assert run("demo", "--out", tmp_path).exit_code == 2
    assert run("demo", "--out", tmp_path, "--overwrite").exit_code == 0
    (tmp_path / "model.safetensors").write_text("of a fit")
    refused = run("demo", "--out", tmp_path, "--overwrite")
    assert refused.exit_code == 2
    assert "something else than a run of this command" in " ".join(refused.output.split())


def test_findings_of_the_doctor_are_replaced_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convrfm.commands.doctor.findings", lambda *_: [])
    (tmp_path / "found.json").write_text("by hand")
    assert run("doctor", "--out", tmp_path / "found.json").exit_code == 2
    assert (tmp_path / "found.json").read_text() == "by hand"
    assert run("doctor", "--out", tmp_path / "found.json", "--overwrite").exit_code == 0
    assert (tmp_path / "found.json").read_text() == "{}\n"
