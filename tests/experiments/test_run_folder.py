"""A run's folder keeps what is finished, and nothing of another run."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from convrfm.datasets.walking import walk
from convrfm.errors import InputError, InterruptedFitWarning
from convrfm.experiments.computing import computed
from convrfm.experiments.experiment import Line, Step
from convrfm.experiments.run_folder import CONTENTS, IDENTITY, STEPS, RunFolder, read_identity, read_lines
from convrfm.storage.digests import with_digest

RUN = {"experiment": "any", "seed": 0}


def step(calls: list[int], number: int = 0, value: float = 0.5) -> Step:
    def compute() -> Mapping[str, Any]:
        calls.append(number)
        return {"value": value, "pair": (1, 2)}

    return Step({"number": number}, compute)


def line(folder: RunFolder, wanted: Step) -> Line:
    """What a step found; it is computed unless it was finished before."""
    if folder.finished(wanted) is None:
        folder.keep(computed(wanted))
    found = folder.finished(wanted)
    assert found is not None
    return found


def test_a_finished_step_is_not_computed_again_and_reads_as_it_was(tmp_path: Path) -> None:
    calls: list[int] = []
    lines = [line(RunFolder(tmp_path / "run", RUN, overwrite=False), step(calls)) for _ in range(2)]
    assert lines[0] == lines[1]
    assert lines[0].items() >= {"number": 0, "value": 0.5, "pair": [1, 2]}.items()
    assert lines[0]["seconds"] >= 0
    assert "torch" in lines[0]["versions"]
    assert calls == [0]


def test_steps_are_told_apart_by_what_they_are_at(tmp_path: Path) -> None:
    calls: list[int] = []
    folder = RunFolder(tmp_path / "run", RUN, overwrite=False)
    assert [line(folder, step(calls, n, value=n))["value"] for n in (0, 1, 0)] == [0, 1, 0]
    assert calls == [0, 1]


@pytest.mark.parametrize("how", [KeyboardInterrupt(), InterruptedFitWarning("the fit keeps 1 of 3 rounds")])
def test_an_interrupted_step_leaves_nothing(how: BaseException, tmp_path: Path) -> None:
    """Also where a model warns that it keeps the rounds it had."""

    def interrupted() -> Mapping[str, Any]:
        if isinstance(how, Warning):
            warnings.warn(how, stacklevel=1)
            return {"value": 0.1}
        raise how

    folder = RunFolder(tmp_path / "run", RUN, overwrite=False)
    with pytest.raises(KeyboardInterrupt):
        line(folder, Step({"number": 0}, interrupted))
    assert read_lines(tmp_path / "run") == []


def test_a_line_that_was_cut_short_is_computed_again(tmp_path: Path) -> None:
    """As after a kill while it was written."""
    calls: list[int] = []
    folder = RunFolder(tmp_path / "run", RUN, overwrite=False)
    for number in range(2):
        line(folder, step(calls, number))
    file = tmp_path / "run" / STEPS
    file.write_bytes(file.read_bytes()[:-9])
    again = RunFolder(tmp_path / "run", RUN, overwrite=False)
    assert [line(again, step(calls, number))["value"] for number in range(2)] == [0.5, 0.5]
    assert calls == [0, 1, 1]
    assert len(read_lines(tmp_path / "run")) == 2


def test_reading_changes_nothing_of_a_run_that_is_being_written(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", RUN, overwrite=False)
    line(folder, step([]))
    file = tmp_path / "run" / STEPS
    begun = file.read_bytes() + b'{"number": 1, "pictu'
    file.write_bytes(begun)
    assert [each["number"] for each in read_lines(tmp_path / "run")] == [0]
    assert file.read_bytes() == begun


def test_another_run_is_refused_and_replaced_when_asked(tmp_path: Path) -> None:
    calls: list[int] = []
    line(RunFolder(tmp_path / "run", RUN, overwrite=False), step(calls))
    (tmp_path / "run" / "note.txt").write_text("mine")
    with pytest.raises(InputError, match=r"seed 0 \(now 1\).*--overwrite"):
        RunFolder(tmp_path / "run", RUN | {"seed": 1}, overwrite=False)
    line(RunFolder(tmp_path / "run", RUN | {"seed": 1}, overwrite=True), step(calls))
    assert len(calls) == 2
    assert (tmp_path / "run" / "note.txt").read_text() == "mine"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("killed", [False, True])
def test_a_replaced_run_is_kept_until_the_new_one_has_a_step(killed: bool, tmp_path: Path) -> None:
    """It comes back where that ends before; killed, the next command finds it."""
    first = RunFolder(tmp_path, RUN, overwrite=False)
    (first.files / "kept").write_text("of the earlier run")
    line(first, step([]))
    before, other = contents(tmp_path), RUN | {"seed": 1}
    folder = RunFolder(tmp_path, other, overwrite=True)
    assert folder.finished(step([])) is None
    (folder.files / "begun").write_text("of the new run")
    if killed:
        with pytest.raises(InputError, match=r"seed 0 \(now 1\)"):
            RunFolder(tmp_path, other, overwrite=False)
    else:
        assert folder.settle()
    assert contents(tmp_path) == before
    folder = RunFolder(tmp_path, other, overwrite=True)
    line(folder, step([]))
    assert not folder.settle()
    assert contents(tmp_path).keys() == {IDENTITY, STEPS}
    assert read_identity(tmp_path)["seed"] == 1


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_run_is_left_alone(tmp_path: Path, overwrite: bool) -> None:
    for name in CONTENTS:
        if name != IDENTITY:
            (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match="something else"):
        RunFolder(tmp_path, RUN, overwrite=overwrite)
    assert len(list(tmp_path.iterdir())) == len(CONTENTS) - 1


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", RUN, overwrite=False)
    line(folder, step([]))
    file = tmp_path / "run" / STEPS
    file.write_text("{broken\n" + file.read_text())
    with pytest.raises(InputError, match=r"Line 1 of .*steps\.jsonl is damaged.*Delete"):
        RunFolder(tmp_path / "run", RUN, overwrite=False)
    assert json.loads(file.read_text().splitlines()[1])["value"] == 0.5


@pytest.mark.parametrize(
    "damaged",
    [
        *("[]", "null", '{"value": NaN}', '{"value": 1e999}', "[" * 100_000, "\udce9", "{}"),
        *('{"number": 0}', '{"number": 0, "value": 0.5}', '{"number": 0, "value": [], "digest": "0"}'),
    ],
)
def test_lines_of_any_form_are_named_and_never_results(tmp_path: Path, damaged: str) -> None:
    RunFolder(tmp_path / "run", RUN, overwrite=False)
    (tmp_path / "run" / STEPS).write_bytes(damaged.encode(errors="surrogateescape") + b"\n")
    with pytest.raises(InputError, match=r"Line 1 of .* is damaged"):
        RunFolder(tmp_path / "run", RUN, overwrite=False)


@pytest.mark.parametrize(("whole", "other"), [("0.5", "0.6"), ('"value"', '"valve"'), ("[1, 2]", "2"), ("0.5", "null")])
def test_a_line_of_other_results_than_were_written_is_named(tmp_path: Path, whole: str, other: str) -> None:
    folder = RunFolder(tmp_path / "run", RUN, overwrite=False)
    for number in range(2):
        line(folder, step([], number))
    file = tmp_path / "run" / STEPS
    first, second = file.read_text().splitlines()
    file.write_text(f"{first}\n{second.replace(whole, other)}\n")
    with pytest.raises(InputError, match=r"Line 2 of .*steps\.jsonl is damaged \(it does not say .*Delete it"):
        RunFolder(tmp_path / "run", RUN, overwrite=False)


@pytest.mark.parametrize("identity", ["[]", "null", "", '{"seed": NaN}', "[" * 100_000, "{}", json.dumps(RUN)])
def test_an_identity_of_any_form_is_no_run(tmp_path: Path, identity: str) -> None:
    (tmp_path / IDENTITY).write_text(identity)
    with pytest.raises(InputError, match=r"something else .*, or its reproduction\.json is damaged"):
        RunFolder(tmp_path, RUN, overwrite=False)


@pytest.mark.parametrize(("identity", "is_run"), [(json.dumps(RUN), True), ('{"seed": 0}', False), ("[]", False)])
def test_a_run_whose_identity_is_damaged_is_replaced_when_asked_and_what_is_none_is_not(
    tmp_path: Path, identity: str, is_run: bool
) -> None:
    line(RunFolder(tmp_path, RUN, overwrite=False), step([]))
    (tmp_path / IDENTITY).write_text(identity)
    if not is_run:
        with pytest.raises(InputError, match="something else"):
            RunFolder(tmp_path, RUN, overwrite=True)
        return
    folder = RunFolder(tmp_path, RUN, overwrite=True)
    assert folder.finished(step([])) is None
    line(folder, step([]))
    RunFolder(tmp_path, RUN, overwrite=False)


def test_a_step_that_finds_no_number_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"numbers that are not finite: value\. .*--set"):
        line(RunFolder(tmp_path / "run", RUN, overwrite=False), step([], value=float("nan")))
    assert read_lines(tmp_path / "run") == []


@pytest.mark.parametrize("left", [[], [".writing-x"], [".lock", ".writing-x"], [IDENTITY]])
def test_a_run_killed_while_its_folder_was_made_begins_again(tmp_path: Path, left: list[str]) -> None:
    (tmp_path / "run").mkdir()
    for name in left:
        (tmp_path / "run" / name).write_text(json.dumps(with_digest(RUN)))
    calls: list[int] = []
    line(RunFolder(tmp_path / "run", RUN, overwrite=False), step(calls))
    assert calls == [0]


def test_a_run_below_the_data_is_no_data(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "any", RUN, overwrite=False)
    assert walk(tmp_path).runs == [folder.path]
