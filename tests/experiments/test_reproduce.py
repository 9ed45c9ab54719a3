"""One command for each figure: what it leaves, what it refuses, and that an interruption costs one round."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from convrfm import ConvRFMClassifier
from convrfm.cli import app
from convrfm.datasets.local_signal import bundled_digits
from convrfm.datasets.pictures import resize
from convrfm.estimators import layers
from convrfm.experiments import noisy_mnist
from convrfm.experiments.reproduce import FIGURES


def reproduce(figure: str, out: Path, *arguments: str | Path) -> Result:
    words = ["reproduce", figure, "--scale", "smoke", "--quiet", "--out", out, *arguments]
    return CliRunner().invoke(app, [str(word) for word in words], terminal_width=200)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scikit-learn's digits, enlarged to MNIST's size."""
    images, labels = bundled_digits()
    x = np.concatenate([resize(image[None], (28, 28)) for image in images[:600]])
    x = np.clip(255 * x, 0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, x_train=x[:300], y_train=labels[:300], x_test=x[300:], y_test=labels[300:600])
    return path


@pytest.fixture(scope="module")
def finished(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "noisy-mnist"
    result = reproduce("noisy-mnist", folder, "--data", digits)
    assert result.exit_code == 0, result.output
    return folder


def rounds_of(folder: Path) -> list[dict[str, object]]:
    """The rounds' records, without what a clock decides."""
    rounds = json.loads((folder / "record.json").read_text())["results"]["rounds"]
    return [{name: value for name, value in r.items() if name not in ("seconds", "test_seconds")} for r in rounds]


@pytest.mark.parametrize("figure", sorted(set(FIGURES) - {"noisy-mnist"}))
def test_every_figure_leaves_record_and_page(figure: str, tmp_path: Path) -> None:
    result = reproduce(figure, tmp_path / "run")
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["figure"] == figure
    assert record["settings"]["seed"] == 0
    assert record["versions"]["torch"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert FIGURES[figure].title in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_star_run_holds_the_published_draw(tmp_path: Path) -> None:
    result = reproduce("star", tmp_path / "run")
    assert re.search(r"1717\D+77\.95\D+94\.83", result.output)


def test_rounds_are_those_of_the_estimator_with_the_published_settings(digits: Path, finished: Path) -> None:
    (x, y), (x_test, y_test), _ = noisy_mnist.noisy_mnist_images(str(digits), 200, seed=0)
    model = ConvRFMClassifier.from_preset("science-2024", kernel=noisy_mnist.MODEL.kernel, ridge=1e-5).fit(x, y)
    found = rounds_of(finished)
    accuracies = [float((predicted == y_test).mean()) for predicted in model.staged_predict(x_test)]
    assert [r["test_accuracy"] for r in found] == accuracies
    errors = [((outputs - np.eye(10)[y_test]) ** 2).sum(1).mean() for outputs in model.staged_outputs(x_test)]
    np.testing.assert_allclose([r["test_error"] for r in found], errors, rtol=1e-5)
    assert [r["loo_accuracy"] for r in found] == [r["loo_accuracy"] for r in model.history_]


def test_record_plot_and_page_show_every_round(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    for r in rounds_of(finished):
        low, high = r["test_interval"]
        assert low < r["test_accuracy"] < high
        assert f"{r['test_accuracy']:.1%} ({100 * low:.1f} to {100 * high:.1f})" in page
    assert "Only the machinery is shown" in page
    assert (finished / "plots" / "rounds.png").is_file()
    record = json.loads((finished / "record.json").read_text())
    assert all(r["seconds"] > 0 and r["test_seconds"] > 0 for r in record["results"]["rounds"])


def test_an_interrupted_run_continues_to_the_same_rounds(
    digits: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, begun = layers.fit_round, []

    def counted(*arguments: object) -> object:
        begun.append(1)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return plain(*arguments)

    monkeypatch.setattr(layers, "fit_round", counted)
    arguments = ("noisy-mnist", tmp_path / "run", "--data", digits)
    assert reproduce(*arguments).exit_code == 130
    assert {p.name for p in (tmp_path / "run" / "steps").glob("round-*.json")} == {"round-0.json", "round-1.json"}
    other = reproduce(*arguments, "--seed", "1")
    assert other.exit_code == 2
    assert "seed 0 (now 1)" in " ".join(other.output.split())
    assert reproduce(*arguments).exit_code == 0
    assert len(begun) == 5
    assert rounds_of(tmp_path / "run") == rounds_of(finished)


def test_other_images_under_the_same_name_are_noticed(digits: Path, tmp_path: Path) -> None:
    data = tmp_path / "digits.npz"
    data.write_bytes(digits.read_bytes())
    assert reproduce("noisy-mnist", tmp_path / "run", "--data", data).exit_code == 0
    arrays = dict(np.load(data))
    np.savez(data, **(arrays | {"x_train": 255 - arrays["x_train"]}))
    result = reproduce("noisy-mnist", tmp_path / "run", "--data", data)
    assert result.exit_code == 2
    assert "other images" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fig99"], "FIGURE must be one of bars, noisy-mnist, star, theorem1; got fig99"),
        (["noisy-mnist"], "needs --data: MNIST as an .npz file with x_train, y_train, x_test and y_test"),
        (["noisy-mnist", "--data", "sklearn:digits"], "images of 1 x 28 x 28"),
        (["star", "--data", "bars"], "generates its own images"),
        (["theorem1", "--device", "cuda"], "computed on the CPU"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_reproduced_is_said(arguments: list[str], message: str, tmp_path: Path) -> None:
    figure, *others = arguments
    result = reproduce(figure, tmp_path / "run", *others)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
