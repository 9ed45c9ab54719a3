"""Simple methods see the split of the model, and nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score, roc_auc_score
from typer.testing import CliRunner

import convrfm
from convrfm import datasets
from convrfm.cli import app
from convrfm.commands.baselines import MOST_IMAGES, baselines

DATA = datasets.load("bars", n_train=120, n_test=60, sigma=1.0)
SMALL = ["--depth", "1", "--iterations", "1", "--n-train", "40", "--n-test", "30", "--sigma", "1.5", "--quiet"]


def test_chance_is_the_share_of_the_most_frequent_training_class_among_test_images() -> None:
    y = np.where(np.arange(120) < 90, DATA.classes[1], DATA.classes[0])
    found = baselines(replace(DATA, y_train=y), seed=0)[0]
    assert found.score == pytest.approx((DATA.y_test == DATA.classes[1]).mean())


def test_logistic_regression_is_that_of_scikit_learn_on_scaled_pixels() -> None:
    train, test = (x.reshape(len(x), -1) for x in (DATA.x_train, DATA.x_test))
    train, test = (train - train.mean()) / train.std(), (test - train.mean()) / train.std()
    expected = LogisticRegression(max_iter=1000).fit(train, DATA.y_train).score(test, DATA.y_test)
    found = baselines(DATA, seed=0)[1]
    assert found.score == pytest.approx(expected, abs=1 / 60)
    low, high = found.interval
    assert low <= found.score <= high


def test_the_same_seed_gives_the_same_scores() -> None:
    first, again = ([b.score for b in baselines(DATA, seed=3)] for _ in range(2))
    assert first == again


def test_a_signal_in_the_mean_of_large_images_is_found_and_many_images_are_cut() -> None:
    labels = np.arange(MOST_IMAGES + 5) % 2
    x = np.broadcast_to(labels[:, None, None, None], (len(labels), 1, 40, 4)).astype(np.float32)
    data = replace(DATA, x_train=x, y_train=labels, x_test=x[:9], y_test=labels[:9], classes=(0, 1))
    chance, *methods = baselines(data, seed=0)
    assert [b.score for b in methods] == [1, 1]
    assert chance.score == pytest.approx(5 / 9)
    assert {b.n_train for b in methods} == {MOST_IMAGES}


def test_a_class_that_is_rare_is_among_the_images_that_are_trained_on() -> None:
    labels = np.array([0] * MOST_IMAGES + [1] * 5)
    x = np.broadcast_to(labels[:, None, None, None], (len(labels), 1, 4, 4)).astype(np.float32)
    data = replace(DATA, x_train=x, y_train=labels, x_test=x[-9:], y_test=labels[-9:], classes=(0, 1))
    chance, logistic, _ = baselines(data, seed=0)
    assert (chance.score, logistic.score) == (pytest.approx(4 / 9), 1)
    assert logistic.n_train == MOST_IMAGES


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("runs") / "bars"
    result = CliRunner().invoke(app, ["fit", "bars", *SMALL, "--out", str(folder)], terminal_width=200)
    assert result.exit_code == 0, result.output
    return folder, result.output


def test_a_fit_shows_baselines_recall_roc_area_and_mistakes(run: tuple[Path, str]) -> None:
    folder, said = run
    metrics = json.loads((folder / "metrics.json").read_text())
    data = datasets.load("bars", n_train=40, n_test=30, sigma=1.5)
    model = convrfm.load(folder)
    assert [b["score"] for b in metrics["baselines"]] == [b.score for b in baselines(data, seed=0)]
    area = roc_auc_score(data.y_test, model.decision_function(data.x_test))
    assert metrics["roc_area"] == pytest.approx(area)
    recalls = recall_score(data.y_test, model.predict(data.x_test), average=None)
    assert list(metrics["recall"].values()) == pytest.approx(recalls)
    page = (folder / "report.html").read_text(encoding="utf-8")
    for words in ("Beside simple methods", "logistic regression on pixels", "Recall", "ROC curve", "surest of"):
        assert words in page
    assert f"{area:.3f}" in said
    assert "random forest on pixels" in said
    assert (folder / "plots" / "mistakes.png").is_file()
    predicted, sure = model.predict(data.x_test), model.predict_proba(data.x_test).max(1)
    wrong = np.flatnonzero(predicted != data.y_test)
    surest = [data.names_test[i] for i in wrong[np.argsort(-sure[wrong], kind="stable")][:12]]
    assert f"From the left: {', '.join(surest)}." in page


def test_a_switch_leaves_the_baselines_out(tmp_path: Path) -> None:
    command = ["fit", "bars", *SMALL, "--no-baselines", "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, command, terminal_width=200)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["baselines"] == []
    assert "forest" not in result.output
