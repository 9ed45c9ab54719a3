"""Which mistakes a page shows, and what its numbers are taken from."""

from dataclasses import replace

import numpy as np
import pytest

from convrfm import ConvRFMClassifier, datasets
from convrfm.commands.evaluation import Evaluation, evaluate
from convrfm.commands.run_files import MISTAKES, layer_records, roc_area, surest_mistakes
from convrfm.kernels import NTK, vanilla
from convrfm.plots import plot_spectrum

CLASSES = np.array(["cat", "dog", "owl"])
N = 60


def evaluated(n_wrong: int) -> tuple[datasets.ImageData, Evaluation]:
    """Test images of which so many are taken for another class, some of them as surely as others."""
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(3), N).round(1)
    predicted = probabilities.argmax(1)
    true = predicted.copy()
    wrong = generator.permutation(N)[:n_wrong]
    true[wrong] = (predicted[wrong] + generator.integers(1, 3, n_wrong)) % 3
    data = replace(
        datasets.load("bars", n_train=8, n_test=N, seed=0),
        y_test=CLASSES[true],
        names_test=tuple(f"{i}.png" for i in range(N)),
    )
    return data, Evaluation([], np.log(probabilities + 0.01), probabilities, CLASSES[predicted])


@pytest.mark.parametrize("n_wrong", [0, 5, MISTAKES, 40])
def test_the_mistakes_that_are_shown_are_those_that_the_model_was_surest_of(n_wrong: int) -> None:
    data, evaluation = evaluated(n_wrong)
    wrong = [i for i in range(N) if evaluation.predicted[i] != data.y_test[i]]
    assert len(wrong) == n_wrong
    surest = sorted(wrong, key=lambda i: (-max(evaluation.probabilities[i]), i))[:MISTAKES]
    shown = surest_mistakes(data, evaluation)
    assert [mistake.name for mistake in shown] == [f"{i}.png" for i in surest]
    for mistake, i in zip(shown, surest, strict=True):
        of_predicted = evaluation.probabilities[i, CLASSES.tolist().index(mistake.predicted)]
        assert (mistake.true, mistake.predicted) == (data.y_test[i], evaluation.predicted[i])
        assert mistake.true != mistake.predicted
        assert mistake.probability == of_predicted
        np.testing.assert_array_equal(mistake.image, data.x_test[i])


def test_the_area_under_the_roc_curve_is_that_of_the_outputs() -> None:
    """Where classes are told apart without a doubt, probabilities are all but 0 and 1, and equal ones have no order."""
    generator = np.random.default_rng(0)
    signs = np.where(np.arange(80) % 2, 1.0, -1.0)[:, None, None, None]
    noise = generator.standard_normal((80, 1, 4, 4)) * np.where(np.arange(80) < 40, 0.1, 3.0)[:, None, None, None]
    x = (signs + noise).astype(np.float32)
    y = np.arange(80) % 2
    model = ConvRFMClassifier(NTK(vanilla(1)), n_iterations=0).fit(x[:40], y[:40])
    data = replace(datasets.load("bars", n_train=8, n_test=40, seed=0), x_train=x[:8], x_test=x[40:], y_test=y[40:])
    evaluation = evaluate(model, data.x_test, data.y_test)
    assert len(np.unique(evaluation.probabilities[:, 1])) < 40
    scores = model.decision_function(data.x_test)
    pairs = [np.sign(second - first) for first in scores[y[40:] == 0] for second in scores[y[40:] == 1]]
    assert roc_area(model, data, evaluation) == pytest.approx(0.5 + np.mean(pairs) / 2, abs=1e-3)


def test_directions_that_no_patch_has_are_not_drawn() -> None:
    """Of pictures in shades of one color: two thirds of the eigenvalues of M are nothing but the rounding of its precision."""
    gray, y = datasets.bars(30, sigma=1.0, generator=np.random.default_rng(0))
    x = (gray.mean(1, keepdims=True) * np.array([1.0, 0.7, 0.3])[:, None, None]).astype(np.float32)
    model = ConvRFMClassifier(NTK(vanilla(1)), n_iterations=1, keep="last").fit(x, y)
    (record,) = layer_records(model, evaluate(model, x, y), x[:2])
    line = plot_spectrum(record.feature_matrix).lines[-1]
    assert np.isfinite(line.get_ydata()).sum() == 9 == len(record.feature_matrix) / 3
