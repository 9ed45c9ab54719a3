"""How good every round of a fitted model is on test images, as records for metrics.json and for the report."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from ..estimators import ConvRFMClassifier
from ..maths.intervals import wilson_interval
from ..report import RoundRecord


@dataclass(frozen=True)
class Evaluation:
    """Every finished round on test images.

    Attributes:
        rounds: a record for each round, with its test accuracy and the 95% Wilson interval of that.
        outputs: the kept round's outputs `(n, k)`.
        predicted: its labels `(n,)`.
    """

    rounds: list[RoundRecord]
    outputs: Float[np.ndarray, "n k"]
    predicted: Shaped[np.ndarray, " n"]


def evaluate_rounds(
    model: ConvRFMClassifier, x_test: Float[np.ndarray, "n c h w"], y_test: Shaped[np.ndarray, " n"]
) -> Evaluation:
    """Score every finished round; one kernel between test and training images for each."""
    stages = list(model.staged_outputs(x_test))
    labels = [model.classes_[outputs.argmax(1)] for outputs in stages]
    records = []
    for history, predicted in zip(model.history_, labels, strict=True):
        hits = int((predicted == y_test).sum())
        records.append(
            RoundRecord(
                iteration=history["iteration"],
                ridge=history["ridge"],
                train_score=history["train_accuracy"],
                loo_score=history["loo_accuracy"],
                loo_error=history["loo_error"],
                test_score=hits / len(y_test),
                test_interval=wilson_interval(hits, len(y_test)),
                seconds=history["seconds"],
            )
        )
    return Evaluation(records, stages[model.best_iteration_], labels[model.best_iteration_])


def as_metrics(records: Sequence[RoundRecord]) -> list[dict[str, Any]]:
    """The records with the names that metrics.json uses: accuracies are fractions."""
    names = {"train_score": "train_accuracy", "loo_score": "loo_accuracy", "test_score": "test_accuracy"}
    return [{names.get(name, name): value for name, value in asdict(record).items()} for record in records]
