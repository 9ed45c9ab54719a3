"""What one run of `convrfm fit` leaves for its report: arrays and plain values, no model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class RoundRecord:
    """One round: a fit with the current patch metric. Scores are accuracies (fractions) or R^2.

    Attributes:
        iteration: How many updates of the patch metric came before; 0 is the fixed kernel.
        ridge: The regularisation of this fit.
        train_score: Score on the training images.
        loo_score: Score by leave-one-out; NaN if it was not computed.
        loo_error: Mean squared error by leave-one-out; NaN if it was not computed.
        test_score: Score on test images, if there are any.
        test_interval: Lower and upper end of its 95% interval.
        seconds: Wall time of the round.
    """

    iteration: int
    ridge: float
    train_score: float
    loo_score: float
    loo_error: float
    test_score: float | None
    test_interval: tuple[float, float] | None
    seconds: float


@dataclass(frozen=True)
class FitRecord:
    """A finished run.

    Attributes:
        title: The heading of the page.
        task: "classification" or "regression".
        rounds: The rounds 0 to T in order.
        best_iteration: The round whose metric the model keeps.
        feature_matrix: That metric M, (d, d).
        patch_shape: (c, q, q) with d = c q q.
        sample_images: A few images to look at, (m, c, h, w).
        feature_maps_before: |x[u]| of the sample images, (m, rows, cols).
        feature_maps_after: |M^(1/2) x[u]| of the sample images, (m, rows, cols).
        y_true: Labels or targets of the test images, (n_test,) or (n_test, k); None without test images.
        y_pred: The predictions of the chosen round for them.
        classes: The class names in the order of the model; empty for regression.
        n_train: Number of training images.
        n_test: Number of test images.
        selected_on: What chose the round; None if the last round is kept without a choice.
        command: The command line that reproduces the run.
        settings: Every parameter of the run, the seed among them.
        versions: Versions of the software.
        notes: Remarks on the data, in plain words.
        files: What is in the folder of the run: file name and what it holds.
    """

    title: str
    task: Task
    rounds: Sequence[RoundRecord]
    best_iteration: int
    feature_matrix: Float[np.ndarray, "d d"]
    patch_shape: tuple[int, int, int]
    sample_images: Float[np.ndarray, "m c h w"]
    feature_maps_before: Float[np.ndarray, "m rows cols"]
    feature_maps_after: Float[np.ndarray, "m rows cols"]
    y_true: Shaped[np.ndarray, " n_predicted *k"] | None
    y_pred: Shaped[np.ndarray, " n_predicted *k"] | None
    classes: Sequence[object] | np.ndarray
    n_train: int
    n_test: int
    selected_on: Literal["leave-one-out", "the selection set"] | None
    command: str
    settings: Mapping[str, object]
    versions: Mapping[str, str]
    notes: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)
