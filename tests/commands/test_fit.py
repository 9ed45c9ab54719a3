"""What a run keeps says what it was selected on."""

import json
from pathlib import Path

import pytest

import convrfm
from convrfm import ConvRFMClassifier, DeepConvRFMClassifier, datasets
from convrfm.commands.run_files import write_run
from convrfm.kernels import NTK, vanilla


@pytest.mark.parametrize(
    "model",
    [
        ConvRFMClassifier.from_preset("paper", kernel=NTK(vanilla(1)), n_iterations=1),
        DeepConvRFMClassifier.from_preset("paper", depth=2, n_filters=3, n_iterations=1),
    ],
    ids=["shallow", "deep"],
)
def test_a_selection_set_is_named_in_metrics_report_and_model(
    model: ConvRFMClassifier | DeepConvRFMClassifier, tmp_path: Path
) -> None:
    data, more = (datasets.load("bars", n_train=30, n_test=20, seed=seed) for seed in (0, 1))
    model.fit(data.x_train, data.y_train, selection=(more.x_train, more.y_train))
    layers = write_run(tmp_path, model, data, {"data": "bars"}, "").layers
    assert [layer.best_iteration for layer in layers] == [layer.kept.iteration for layer in model.layers_]
    assert json.loads((tmp_path / "metrics.json").read_text())["selected_on"] == "selection"
    assert "score on the selection set" in (tmp_path / "report.html").read_text()
    history = convrfm.load(tmp_path / "model.safetensors").history_
    assert {line["judge"] for line in history} == {"selection"}
