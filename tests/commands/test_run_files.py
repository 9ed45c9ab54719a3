"""Which mistakes a page shows."""

from dataclasses import replace

import numpy as np
import pytest

from convrfm import datasets
from convrfm.commands.evaluation import Evaluation
from convrfm.commands.run_files import MISTAKES, surest_mistakes

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
