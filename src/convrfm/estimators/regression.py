"""Kernel regression of numbers as a scikit-learn regressor."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from torch import Tensor

from ..solvers.exact import GaussianPosterior
from .machine import RecursiveFeatureMachine, Values
from .prediction import Array
from .saving import Tensors
from .targets import check_targets

ROW_COPIES = (
    9  # of a float32 row of the kernel matrix: itself, and four doubles (converted, scaled, multiplied, squared)
)


@dataclass(eq=False, repr=False)
class Regressor(RegressorMixin, RecursiveFeatureMachine):
    """Numbers in, numbers and their standard deviations out; see `ConvRFMRegressor`."""

    _classify: ClassVar[bool] = False
    _posterior: ClassVar[GaussianPosterior | None]

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
        images = self._check_fitted_images(x)
        kept = self.layers_[-1].kept
        mean = self._decide(self._like(self._outputs(images, len(self.layers_) - 1, kept), x))
        if not return_std:
            return mean
        deviations = (self._variances(images)[:, None] * kept.amplitude.double()).sqrt().to(images)
        return mean, self._decide(self._like(deviations, x))

    def score(self, x: Array, y: Array, sample_weight: Array | None = None) -> float:
        """The coefficient of determination R^2."""
        predictions = self.predict(x.cpu().numpy() if isinstance(x, Tensor) else x)
        return float(r2_score(check_targets(y, len(x)), predictions, sample_weight=sample_weight))

    def _variances(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """Of a new target at each image, in units of the amplitude."""
        number = len(self.layers_) - 1
        kernel, kept, trained = self.layers_[-1].kernel, self.layers_[-1].kept, self._training_images(number)
        if self._posterior is None:
            self._posterior = GaussianPosterior(kernel(trained, feature_matrix=kept.metric), kept.ridge, self._weights)
        variances = []
        for part in self._parts(images, number, ROW_COPIES * len(trained)):
            meeting = kernel(part, trained, feature_matrix=kept.metric)
            variances.append(self._posterior.variance(meeting, kernel.diagonal(part, feature_matrix=kept.metric)))
        return torch.cat(variances)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _expose(self, as_given: Any) -> None:
        self._posterior = None
        super()._expose(as_given)

    def _check_y(self, y: Array, n: int) -> Values:
        return check_targets(y, n)

    def _encode(self, values: Values) -> tuple[Float[Tensor, "n k"], dict[str, Any]]:
        return torch.tensor(values).reshape(len(values), -1), {"_target_ndim": values.ndim}

    def _targets_of(self, values: Values, learned: dict[str, Any]) -> Float[Tensor, "n k"]:
        return torch.tensor(values).reshape(len(values), -1)

    def _learned(self) -> tuple[dict[str, Any], Tensors]:
        learned, tensors = super()._learned()
        return learned | {"target_ndim": self._target_ndim}, tensors

    def _restore(self, learned: dict[str, Any], tensors: Tensors, outputs: int | None = None) -> None:
        self._target_ndim = int(learned["target_ndim"])
        super()._restore(learned, tensors, 1 if self._target_ndim == 1 else None)

    def _decide(self, outputs: Array) -> Array:
        return outputs[:, 0] if self._target_ndim == 1 else outputs
