"""What one run of `convrfm fit` leaves for its report: arrays and plain values, no model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan, prod
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped

from ..estimators.learning.judge import Judge
from ..maths.random_filters import Centering

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class RoundRecord:
    """One round: a fit with the current patch metric. Scores are accuracies (fractions) or R^2.

    Attributes:
        iteration: How many updates of the patch metric came before; 0 is the fixed kernel.
        ridge: The regularization of this fit.
        train_score: Score on the training images.
        held_out_score: Score by leave-one-out, or whatever else judges the rounds; NaN if it was not computed, or is
            estimated and an accuracy.
        held_out_error: Mean squared error by the same; NaN if it was not computed.
        test_score: Score on test images, if it was taken.
        test_interval: Lower and upper end of its 95% interval.
        seconds: Wall time of the round.
        test_changes: How many test images it gets right and the fixed kernel wrong, and how many the other way round.
        left_out_score: Score by leave-one-out, where something else judges the rounds and it has one.
        shrinkage: How far the update of M stayed with the M before it; None without an update, and where nothing was shrunk.
    """

    iteration: int
    ridge: float
    train_score: float
    held_out_score: float
    held_out_error: float
    test_score: float | None
    test_interval: tuple[float, float] | None
    seconds: float
    test_changes: tuple[int, int] | None = None
    left_out_score: float | None = None
    shrinkage: float | None = None


@dataclass(frozen=True)
class LayerRecord:
    """One layer and what it has learned.

    Attributes:
        rounds: Its rounds 0 to T in order.
        best_iteration: The round whose metric it keeps.
        metric: That metric M, (d, d); None for the identity.
        patch_shape: (c, q, q) with d = c q q.
        feature_maps: |M^(1/2) x[u]| of the sample images, as they arrive at this layer, (m, rows, cols).
        centering: How the features that lead on from it are centered; None also for the last one.
        shown_iteration: The round whose metric and maps these are, where that is not the kept one.
        first_metric: M at round 0, (d, d), which whitens the training patches; None for the identity.
    """

    rounds: Sequence[RoundRecord]
    best_iteration: int
    metric: Float[np.ndarray, "d d"] | None
    patch_shape: tuple[int, int, int]
    feature_maps: Float[np.ndarray, "m rows cols"]
    centering: Centering = None
    shown_iteration: int | None = None
    first_metric: Float[np.ndarray, "d d"] | None = None

    @property
    def feature_matrix(self) -> Float[np.ndarray, "d d"]:
        """M as a matrix, made anew where it is the identity."""
        return np.eye(prod(self.patch_shape)) if self.metric is None else self.metric

    @property
    def kept(self) -> RoundRecord:
        """The round whose metric the layer keeps."""
        return self.rounds[self.best_iteration]

    @property
    def shown(self) -> int:
        """The round whose metric and maps are shown; 0 where none was learned."""
        return self.best_iteration if self.shown_iteration is None else self.shown_iteration

    @property
    def gained_nothing(self) -> bool:
        """Whether the fixed kernel is kept although there were updates."""
        return self.best_iteration == 0 and len(self.rounds) > 1


@dataclass(frozen=True)
class CandidateRecord:
    """One of several models that a fit compared.

    Attributes:
        name: What it is called.
        held_out_score: Of its kept round (the last layer's), by the judge; NaN where that has no accuracy.
        held_out_error: Mean squared error of that round by the same.
        iterations: The updates of M that it keeps, layer by layer.
        seconds: Wall time of all its rounds.
    """

    name: str
    held_out_score: float
    held_out_error: float
    iterations: Sequence[int]
    seconds: float


@dataclass(frozen=True)
class NextStep:
    """What may do better: options, why, what they cost, and the whole command with them."""

    options: str
    reason: str
    cost: str
    command: str


def best_learned(rounds: Sequence[RoundRecord]) -> RoundRecord:
    """The best round after the fixed kernel, by its judge; of equals the earlier."""
    return max(
        rounds[1:],
        key=lambda r: (0.0 if isnan(r.held_out_score) else r.held_out_score, -r.held_out_error, -r.iteration),
    )


@dataclass(frozen=True)
class Baseline:
    """A simple method on the same split.

    Attributes:
        name: What it is.
        score: Its accuracy on the test images.
        interval: Lower and upper end of its 95% interval.
        n_train: Number of images that it was trained on.
        seconds: Wall time of training and test.
    """

    name: str
    score: float
    interval: tuple[float, float]
    n_train: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Mistake:
    """A test image that was misclassified.

    Attributes:
        image: The image, (c, h, w).
        name: Its file name, or its position.
        true: Its label.
        predicted: What the model says.
        probability: With what probability it says so.
    """

    image: Float[np.ndarray, "c h w"]
    name: str
    true: object
    predicted: object
    probability: float


@dataclass(frozen=True)
class FitRecord:
    """A finished run.

    Attributes:
        title: The heading of the page.
        task: "classification" or "regression".
        layers: The layers in order: one for ConvRFM, several for Deep ConvRFM, whose test scores are those of the fixed
            kernel and of every layer's kept round.
        sample_images: A few images to look at, (m, c, h, w).
        patch_lengths: |M^(1/2) x[u]| of the sample images under the first layer's M at round 0, (m, rows, cols).
        y_true: Labels or targets of the test images, (n_test,) or (n_test, k); None without test images.
        y_pred: The predictions of the last layer's kept round for them.
        classes: The class names in the order of the model; empty for regression.
        n_train: Number of training images.
        n_test: Number of test images.
        judge: What judges the rounds.
        chosen: Whether the judge chose the rounds that are kept; otherwise they are the last ones.
        command: The command line that reproduces the run.
        settings: Every parameter of the run, the seed among them.
        versions: Versions of the software.
        notes: Remarks on the data, in plain words.
        files: What is in the folder of the run: file name and what it holds.
        baselines: Simple methods on the same split; none where they were not asked for.
        roc_area: Area under the ROC curve on the test images; None unless these are of two classes.
        mistakes: Misclassified test images to look at.
        candidates: The models that were compared, where there were several; `chosen_candidate` is kept.
        chosen_candidate: Its number, from 0.
        next_steps: What to try where nothing was gained.
        n_copies: How many copies of training images were fitted beside them.
    """

    title: str
    task: Task
    layers: Sequence[LayerRecord]
    sample_images: Float[np.ndarray, "m c h w"]
    patch_lengths: Float[np.ndarray, "m rows cols"]
    y_true: Shaped[np.ndarray, " n_predicted *k"] | None
    y_pred: Shaped[np.ndarray, " n_predicted *k"] | None
    classes: Sequence[object] | np.ndarray
    n_train: int
    n_test: int
    judge: Judge
    chosen: bool
    command: str
    settings: Mapping[str, object]
    versions: Mapping[str, str]
    notes: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    baselines: Sequence[Baseline] = ()
    roc_area: float | None = None
    mistakes: Sequence[Mistake] = ()
    candidates: Sequence[CandidateRecord] = ()
    chosen_candidate: int = 0
    next_steps: Sequence[NextStep] = ()
    n_copies: int = 0

    @property
    def selected_on(self) -> Judge | None:
        """What chose the rounds; None if the last ones are kept without a choice."""
        return self.judge if self.chosen else None

    @property
    def lost(self) -> bool:
        """Whether by the judge the layers do worse than the fixed kernel alone."""
        fixed, kept = self.stages[0], self.stages[-1]
        if isnan(kept.held_out_score):
            return kept.held_out_error > fixed.held_out_error
        return kept.held_out_score < fixed.held_out_score

    @property
    def stages(self) -> list[RoundRecord]:
        """The fixed kernel, then every layer's kept round."""
        return [self.layers[0].rounds[0], *(layer.kept for layer in self.layers)]
