"""Kernel regression of one-hot labels as a scikit-learn classifier."""

from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Shaped
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from typing_extensions import override

from ..datasets import check_labels
from ..errors import InputError
from .given.arrays import Array, like
from .given.codings import LabelCoding, Values
from .given.training_set import Weights
from .given.weights_and_groups import check_weights
from .machine import RecursiveFeatureMachine


@dataclass(eq=False, repr=False)
class Classifier(ClassifierMixin, RecursiveFeatureMachine):
    """Labels in, labels and probabilities out; see `ConvRFMClassifier`."""

    _: KW_ONLY
    class_weight: dict[Any, float] | Literal["balanced"] | None = None

    _coding: ClassVar[type[LabelCoding]] = LabelCoding
    _coded: LabelCoding = field(init=False)

    def decision_function(self, x: Array) -> Array:
        """The outputs, `(n, k)`; for two classes `(n,)`: that of `classes_[1]` minus that of `classes_[0]`."""
        outputs = self._kept_outputs(x)
        return like(outputs[:, 1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs, x)

    def predict_proba(self, x: Array) -> Array:
        """Probabilities of the classes, `(n, k)`, in double precision: softmax(outputs / temperature_).

        The temperature makes held-out labels likeliest: by leave-one-out, by cross-validation where `cv` is given, or on the
        selection set. Leave-one-out is optimistic after round 0 of the first layer, because M has seen every label; of the
        others' images no metric has seen a label, only the best ridge and round of a few are a little lucky on them. Where
        every class has one image, no held-out label can be right, and all classes are all but equally probable.
        """
        return like(torch.softmax(self._kept_outputs(x).double() / self.temperature_, 1), x)

    def score(self, x: Array, y: Array, sample_weight: Array | None = None) -> float:
        """The fraction of right predictions; weights are as those of `fit`."""
        return float(super().score(x, check_labels(y, len(x)), check_weights(sample_weight, len(x))))

    @property
    def temperature_(self) -> float:
        """What outputs are divided by before the softmax of `predict_proba`."""
        return self.fitted_.kept.round.temperature

    @property
    def classes_(self) -> Shaped[np.ndarray, " k"]:
        """The labels, sorted."""
        return self._coded.classes

    @override
    def _image_weights(self, values: Values, sample_weight: Weights) -> Weights:
        if self.class_weight is None:
            return sample_weight
        classes, codes = np.unique(values, return_inverse=True)
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            totals = np.bincount(codes, sample_weight)
            by_class = totals.sum() / (len(classes) * totals)
        else:
            by_class = self._given_class_weight(classes, values)
        return by_class[codes] if sample_weight is None else by_class[codes] * sample_weight

    def _given_class_weight(self, classes: Shaped[np.ndarray, " k"], values: Values) -> Float[np.ndarray, " k"]:
        try:
            by_class = compute_class_weight(self.class_weight, classes=classes, y=values).astype(float)
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f'class_weight must be None, "balanced", or a weight for each class; got {self.class_weight!r}: {error}'
            ) from error
        if not (np.isfinite(by_class).all() and (by_class > 0).all()):
            raise InputError(f"class_weight must be positive and finite for every class; got {self.class_weight!r}.")
        return by_class
