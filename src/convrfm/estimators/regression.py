"""Kernel regression of numbers as a scikit-learn regressor."""

from dataclasses import dataclass
from typing import Any, ClassVar

from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from torch import Tensor
from typing_extensions import override

from .given.arrays import Array, like
from .given.codings import NumberCoding
from .given.targets import check_targets
from .given.weights_and_groups import check_weights
from .machine import RecursiveFeatureMachine


@dataclass(eq=False, repr=False)
class Regressor(RegressorMixin, RecursiveFeatureMachine):
    """Numbers in, numbers and their standard deviations out; see `ConvRFMRegressor`."""

    _coding: ClassVar[type[NumberCoding]] = NumberCoding

    @property
    def intercept_(self) -> Array:
        """What predictions have beside the kernel's part, `(k,)`: the mean of the targets, weighted as the images are."""
        return self._as_given(self.fitted_.intercept)

    @override
    def predict(self, x: Array, return_std: bool = False) -> Array:
        """Predicted targets, as they were given to `fit`: `(n,)` or `(n, k)`.

        Args:
            x: images of the size of the training images.
            return_std: give `(mean, std)`: also the standard deviation of a new target, its noise included, by the Gaussian
                process whose mean the regression is (covariance s^2 K, noise s^2 ridge / weight; a new target weighs as much
                as those of the training images on their average by weight). s^2 makes the squared leave-one-out residuals,
                leave-one-group-out where `fit` was given groups, as large as their variances; after round 0 it is
                optimistic, because M has seen every target, and `cv` does not change that. The first call decomposes K
                again, n^3 operations, and keeps n^2 doubles.
        """
        mean = super().predict(x)
        if not return_std:
            return mean
        deviations = self.fitted_.deviations(self.images_as_fitted(x))
        return mean, self._coded.decide(like(deviations, x))

    def score(self, x: Array, y: Array, sample_weight: Array | None = None) -> float:
        """The coefficient of determination R^2; weights are as those of `fit`."""
        predictions = self.predict(x)
        in_numpy = predictions.cpu().numpy() if isinstance(predictions, Tensor) else predictions
        return float(r2_score(check_targets(y, len(x)), in_numpy, sample_weight=check_weights(sample_weight, len(x))))

    @override
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
