"""How good a fitted model is on test images, round by round or layer by layer, for metrics.json and for the report."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from scipy.special import softmax
from torch import Tensor

from ..estimators.classification import Classifier
from ..estimators.kept.records import records_by_layer
from ..estimators.learning.judge import Judge
from ..estimators.learning.rounds import Round
from ..estimators.settings import shrinkage_candidates
from ..kernels.growth import ROUGHLY, measured_powers
from ..maths.intervals import wilson_interval
from ..report import RoundRecord


@dataclass(frozen=True)
class Evaluation:
    """The stages of a model on test images.

    Attributes:
        layers: a record for each round of each layer; stages have their test accuracy and its 95% Wilson interval.
        outputs: the outputs `(n, k)` of the last layer's kept round.
        probabilities: softmax of the outputs divided by the model's temperature.
        predicted: its labels `(n,)`.
    """

    layers: Sequence[Sequence[RoundRecord]]
    outputs: Float[np.ndarray, "n k"]
    probabilities: Float[np.ndarray, "n k"]
    predicted: Shaped[np.ndarray, " n"]


def evaluate(model: Classifier, x_test: Float[np.ndarray, "n c h w"], y_test: Shaped[np.ndarray, " n"]) -> Evaluation:
    """Score every stage of a model: one kernel between test and training images for each."""
    stages = [stage.round for stage in model.stages_]
    outputs = dict(zip(stages, model.staged_outputs(x_test), strict=True))
    labels = {round_: model.classes_[of_round.argmax(1)] for round_, of_round in outputs.items()}
    hits = {round_: predicted == y_test for round_, predicted in labels.items()}
    fixed = hits[model.layers_[0].rounds[0]]
    kept, shrinks = model.layers_[-1].kept, any(shrinkage_candidates(model.shrinkage))
    return Evaluation(
        layers=[
            [_record(round_, hits.get(round_), fixed, shrinks=shrinks) for round_ in layer.rounds]
            for layer in model.layers_
        ],
        outputs=outputs[kept],
        probabilities=softmax(outputs[kept] / model.temperature_, axis=1),
        predicted=labels[kept],
    )


def expected_seconds(model: Classifier, x_test: Float[np.ndarray, "n c h w"]) -> float:
    """What `evaluate` takes, from the outputs at a few of the test images."""

    def outputs(m: int) -> Tensor:
        return torch.from_numpy(list(model.staged_outputs(x_test[:m]))[-1])

    n = len(x_test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few images may be darker than all of them
        return measured_powers(outputs, (0, 1), first=1, largest=n, patience=ROUGHLY).seconds(n)


def as_metrics(model: Classifier, evaluation: Evaluation) -> list[dict[str, Any]]:
    """The lines of metrics.json: those of `history_`, and what was measured on test images. Accuracies are fractions."""
    return [
        {"layer": number} | plain | {"test_accuracy": record.test_score, "test_interval": record.test_interval}
        for number, (layer, records) in enumerate(
            zip(records_by_layer(model.layers_), evaluation.layers, strict=True), 1
        )
        for plain, record in zip(layer, records, strict=True)
    ]


def _record(
    round_: Round, hits: Bool[np.ndarray, " n"] | None, of_fixed: Bool[np.ndarray, " n"], *, shrinks: bool
) -> RoundRecord:
    """A round of a fit that shrinks updates or does not.

    Args:
        round_: the round.
        hits: which test images it gets right, where it is a stage.
        of_fixed: which of them the fixed kernel gets right.
        shrinks: whether updates may stay with the metric before them.
    """
    assert round_.train.accuracy is not None
    return RoundRecord(
        iteration=round_.iteration,
        ridge=round_.ridge,
        train_score=round_.train.accuracy,
        held_out_score=nan if round_.judged.accuracy is None else round_.judged.accuracy,
        held_out_error=round_.judged.error,
        test_score=None if hits is None else float(hits.mean()),
        test_interval=None if hits is None else wilson_interval(int(hits.sum()), len(hits)),
        seconds=round_.seconds,
        test_changes=None if hits is None else (int((hits & ~of_fixed).sum()), int((of_fixed & ~hits).sum())),
        left_out_score=None if round_.judge is Judge.LEAVE_ONE_OUT else round_.loo.accuracy,
        shrinkage=round_.shrinkage if shrinks and round_.iteration else None,
    )
