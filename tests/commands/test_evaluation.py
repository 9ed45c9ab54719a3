"""Every stage of a model is scored once, and records say which."""

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.special import softmax

from convrfm import ConvRFMClassifier, DeepConvRFMClassifier, datasets, kernels
from convrfm.commands.evaluation import as_metrics, evaluate, expected_seconds
from convrfm.estimators.classification import Classifier
from convrfm.kernels.growth import timed_by

X, Y = datasets.bars(60, sigma=1.0, generator=np.random.default_rng(0))
MODELS = (
    ConvRFMClassifier(kernels.NTK(kernels.vanilla(1)), n_iterations=2),
    DeepConvRFMClassifier(depth=2, n_filters=4, n_iterations=1),
)


@pytest.fixture(scope="module", params=MODELS, ids=["shallow", "deep"])
def model(request: pytest.FixtureRequest) -> Classifier:
    return request.param.fit(X[:30], Y[:30])


def test_stages_have_the_accuracy_of_their_predictions_and_other_rounds_have_none(model: Classifier) -> None:
    evaluation = evaluate(model, X[30:], Y[30:])
    records = {
        round_: record
        for layer, of_layer in zip(model.layers_, evaluation.layers, strict=True)
        for round_, record in zip(layer.rounds, of_layer, strict=True)
    }
    fixed = next(model.staged_predict(X[30:]))
    for (_, stage), predicted in zip(model.stages_, model.staged_predict(X[30:]), strict=True):
        assert records[stage].test_score == pytest.approx((predicted == Y[30:]).mean())
        low, high = records[stage].test_interval
        assert low <= records[stage].test_score <= high
        pairs = list(zip(predicted == Y[30:], fixed == Y[30:], strict=True))
        assert records[stage].test_changes == (pairs.count((True, False)), pairs.count((False, True)))
    assert {r for r, record in records.items() if record.test_score is not None} == {
        stage for _, stage in model.stages_
    }


@pytest.mark.parametrize("fixed", [0.0, 0.03])
def test_what_scores_take_is_told_from_a_few_images(fixed: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def staged_outputs(_: Classifier, x: np.ndarray) -> Iterator[np.ndarray]:
        for seconds_of_image in (0.001, 0.004):
            now[0] += fixed + seconds_of_image * len(x)
            yield np.zeros((len(x), 2))

    monkeypatch.setattr(ConvRFMClassifier, "staged_outputs", staged_outputs)
    with timed_by(lambda: now[0]):
        told = expected_seconds(ConvRFMClassifier(), np.zeros((5000, 1, 4, 4)))
    assert told == pytest.approx(2 * fixed + 5000 * 0.005)
    assert now[0] < told / 5


def test_predictions_and_probabilities_are_those_of_the_model(model: Classifier) -> None:
    evaluation = evaluate(model, X[30:], Y[30:])
    np.testing.assert_array_equal(evaluation.predicted, model.predict(X[30:]))
    np.testing.assert_allclose(evaluation.probabilities, model.predict_proba(X[30:]), rtol=1e-4, atol=1e-6)
    expected = softmax(evaluation.outputs / model.temperature_, axis=1)
    np.testing.assert_allclose(evaluation.probabilities, expected)


def test_metrics_are_the_history_and_the_test_scores(model: Classifier) -> None:
    metrics = as_metrics(model, evaluate(model, X[30:], Y[30:]))
    for line, history in zip(metrics, model.history_, strict=True):
        assert line.items() >= history.items()
        assert line.keys() - history.keys() <= {"layer", "test_accuracy", "test_interval"}
