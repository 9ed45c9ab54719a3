"""Every experiment computes on the device that is asked for, or refuses: none looks away."""

from pathlib import Path
from typing import Any

import pytest
import torch

from convrfm.errors import InputError
from convrfm.experiments.catalogue import EXPERIMENTS
from convrfm.experiments.experiment import Experiment, Run
from convrfm.experiments.reproduce import Request, reproduce
from convrfm.experiments.scale import Scale
from convrfm.experiments.small_data.images import data_set
from convrfm.experiments.small_data.methods import METHODS


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda experiment: experiment.name)
def test_a_device_that_is_not_there_is_refused(experiment: Experiment[Any], tmp_path: Path) -> None:
    run = Run(experiment.settings[Scale.SMOKE], Scale.SMOKE, seed=0, device="banana", data=None, files=tmp_path)
    with pytest.raises(InputError, match="banana"):
        next(iter(experiment.plan(run))).compute()


def test_an_experiment_of_the_cpu_alone_leaves_nothing_where_another_device_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convrfm.experiments.reproduce.chosen_device", torch.device)  # as if it were there
    request = Request(Scale.SMOKE, device="cuda")
    with pytest.raises(InputError, match="computed on the CPU; got --device cuda"):
        reproduce(EXPERIMENTS["theorem1"], request, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"logistic regression", "random forest"}))
def test_every_contestant_that_torch_computes_is_asked_for_its_device(method: str) -> None:
    data = data_set("digits", Path())
    with pytest.raises(InputError, match="banana"):
        METHODS[method](data.training_images(20, 0), data, 0, "banana")
