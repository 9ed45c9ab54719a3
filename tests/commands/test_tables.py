"""The terminal and the page tell what chose, and what was chosen."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from convrfm import ConvRFMClassifier, DeepConvRFMClassifier, datasets
from convrfm.commands.run_files import Beside, write_run
from convrfm.commands.tables import candidates_table, rounds_table
from convrfm.estimators.learning.judge import Judge
from convrfm.kernels import NTK, vanilla
from convrfm.report.fit_record import LayerRecord, RoundRecord
from convrfm.report.scores import score_columns
from convrfm.storage.values import values_from

SETTINGS = {"n_iterations": 1, "solver": "cg", "ridge": (1e-2, 1e-1)}
MODELS = {
    "one layer": (ConvRFMClassifier(NTK(vanilla(1)), **SETTINGS), ()),
    "several models": (ConvRFMClassifier([NTK(vanilla(1)), NTK(vanilla(2))], **SETTINGS), ("first", "second")),
    "several layers": (DeepConvRFMClassifier(depth=2, n_filters=3, **SETTINGS), ()),
}


def printed(table: Table, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(("model", "names"), MODELS.values(), ids=MODELS)
def test_estimated_errors_are_told_where_there_are_no_accuracies(
    model: ConvRFMClassifier | DeepConvRFMClassifier, names: Sequence[str], tmp_path: Path
) -> None:
    pytest.importorskip("zarr")
    data = datasets.load("bars", n_train=20, n_test=10, seed=0)
    model.fit(data.x_train, data.y_train)
    record = write_run(tmp_path, model, data, {"data": "bars"}, "", beside=Beside(candidates=names))
    table = printed(rounds_table(record.layers, record.judge.label))
    assert "leave-one-out error" in table
    assert "leave-one-out is estimated" in table
    assert "—" not in table
    for layer in model.layers_:
        for each in layer.rounds:
            assert f"{each.judged.error:.4g}" in table
    metrics = values_from((tmp_path / "metrics.json").read_text(encoding="utf-8"))  # no NaN, which JSON does not have
    assert [each["held_out_score"] for each in metrics["candidates"]] == [None] * len(names)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "leave-one-out squared error" in page
    assert "leave-one-out score" not in page
    best = min(np.ravel([line["loo_error"] for line in model.history_ if line.get("candidate") == 2] or [np.nan]))
    if names:
        assert f"a squared error of {best:.4g}" in printed(candidates_table(record))
        assert f"a squared error of {best:.4g}" in page


def test_the_shrinkage_that_was_chosen_is_told_and_none_where_nothing_was_updated(tmp_path: Path) -> None:
    data = datasets.load("bars", n_train=20, n_test=10, seed=0)
    model = ConvRFMClassifier(NTK(vanilla(1)), n_iterations=1, shrinkage=0.25).fit(data.x_train, data.y_train)
    record = write_run(tmp_path / "shrunk", model, data, {"data": "bars"}, "")
    table = rounds_table(record.layers, record.judge.label)
    assert list(table.columns[1].cells) == ["—", "0.25"]
    assert table.columns[1].header == "shrunk"
    assert score_columns(record.layers[0].rounds, record.task, record.judge)["Shrinkage"] == ["—", "0.25"]
    model.set_params(shrinkage=0.0).fit(data.x_train, data.y_train)
    record = write_run(tmp_path / "plain", model, data, {"data": "bars"}, "")
    assert "shrunk" not in printed(rounds_table(record.layers, record.judge.label))


@pytest.mark.parametrize("judge", Judge)
@pytest.mark.parametrize("shrinkage", [None, 0.25])
@pytest.mark.parametrize("n_layers", [1, 3])
def test_the_widest_rounds_have_a_line_each_in_80_columns(judge: Judge, shrinkage: float | None, n_layers: int) -> None:
    score = float("nan") if judge is Judge.LEAVE_ONE_OUT else 1.0  # which may be estimated
    first = RoundRecord(0, 1e-8, 1.0, score, 0.1234, 1.0, (0.998, 1.0), 12345.6, shrinkage=shrinkage)
    rounds = [replace(first, iteration=iteration) for iteration in range(3)]
    layers = [LayerRecord(rounds, kept, np.eye(9), (1, 3, 3), np.ones((1, 2, 2))) for kept in range(n_layers)]
    table = printed(rounds_table(layers, judge.label), width=80)
    assert table.count("100.0% (99.8 to 100.0)") == 3 * n_layers
    assert table.count("12345.6") == 3 * n_layers
    assert table.count("1.0e-08") == 3 * n_layers


def test_the_page_tells_images_and_copies_apart(tmp_path: Path) -> None:
    data = datasets.load("bars", n_train=20, n_test=10, seed=0)
    model = ConvRFMClassifier(NTK(vanilla(1)), n_iterations=0, augment=("flip", "shift"))
    write_run(tmp_path, model.fit(data.x_train, data.y_train), data, {"data": "bars"}, "")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"20 training ({len(model.x_fit_)} with their copies) and 10 test images" in page
