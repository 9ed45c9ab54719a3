"""A run's folder keeps what is finished, and nothing of another run."""

from pathlib import Path

import pytest
import torch

from convrfm.errors import InputError
from convrfm.experiments.run_folder import FILES, RunFolder, Step

SETTINGS = {"figure": "any", "seed": 0}


def computed(calls: list[int], value: float = 0.5) -> Step:
    calls.append(1)
    return Step({"value": value}, {"metric": torch.arange(4.0).reshape(2, 2).T})


def test_a_finished_step_is_not_computed_again(tmp_path: Path) -> None:
    calls: list[int] = []
    for _ in range(2):
        step = RunFolder(tmp_path / "run", SETTINGS, overwrite=False).step("first", lambda: computed(calls))
        assert step.record == {"value": 0.5}
        torch.testing.assert_close(step.tensors["metric"], torch.tensor([[0.0, 2.0], [1.0, 3.0]]))
    assert len(calls) == 1


def test_an_interrupted_step_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> Step:
        raise KeyboardInterrupt

    folder = RunFolder(tmp_path / "run", SETTINGS, overwrite=False)
    with pytest.raises(KeyboardInterrupt):
        folder.step("first", interrupted)
    assert not list((tmp_path / "run" / "steps").iterdir())


def test_a_step_whose_record_is_missing_is_computed_again(tmp_path: Path) -> None:
    """As after a kill between tensors and record."""
    calls: list[int] = []
    folder = RunFolder(tmp_path / "run", SETTINGS, overwrite=False)
    folder.step("first", lambda: computed(calls))
    (tmp_path / "run" / "steps" / "first.json").unlink()
    assert folder.step("first", lambda: computed(calls, 0.7)).record == {"value": 0.7}


def test_other_settings_are_refused_and_replaced_when_asked(tmp_path: Path) -> None:
    calls: list[int] = []
    RunFolder(tmp_path / "run", SETTINGS, overwrite=False).step("first", lambda: computed(calls))
    (tmp_path / "run" / "note.txt").write_text("mine")
    with pytest.raises(InputError, match=r"seed 0 \(now 1\).*--overwrite"):
        RunFolder(tmp_path / "run", SETTINGS | {"seed": 1}, overwrite=False)
    RunFolder(tmp_path / "run", SETTINGS | {"seed": 1}, overwrite=True).step("first", lambda: computed(calls))
    assert len(calls) == 2
    assert (tmp_path / "run" / "note.txt").read_text() == "mine"


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_run_is_left_alone(tmp_path: Path, overwrite: bool) -> None:
    for name in FILES:
        if name != "reproduction.json":
            (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match="something else"):
        RunFolder(tmp_path, SETTINGS, overwrite=overwrite)
    assert len(list(tmp_path.iterdir())) == len(FILES) - 1


def test_a_damaged_step_names_its_file(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", SETTINGS, overwrite=False)
    folder.step("first", lambda: computed([]))
    (tmp_path / "run" / "steps" / "first.safetensors").write_bytes(b"cut short")
    with pytest.raises(InputError, match=r"first\.json is damaged.*Delete"):
        folder.step("first", lambda: computed([]))
