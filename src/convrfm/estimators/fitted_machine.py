"""What a fitted estimator does with images, and what it knows."""

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from torch import Tensor, nn

from ..datasets import Preprocessing, check_images
from ..kernels.devices import chosen_device
from .given.arrays import Array, check_columns, check_same_size, in_precision_of, like, to_device
from .given.codings import Coding
from .kept.fitted_layers import FittedLayers, Stage
from .learning.layers import FittedLayer
from .solving.solver import Exact
from .to_torch import convolutions

FAR, FARTHEST = 50.0, 1e6  # times as large as the images of the fit, or as small: another scale of pixels


class FittedMachine(BaseEstimator):
    """The side of an estimator that uses what a fit, or a file, left in `_fitted`."""

    image_shape: tuple[int, int, int] | None
    device: str
    _fitted: FittedLayers
    _coded: Coding
    _as_arrays: bool
    preprocessing_: ClassVar[Preprocessing | None] = None

    def predict(self, x: Array) -> Array:
        """Labels, or for the regressor targets, as they were given to `fit`.

        Args:
            x: images of the size of the training images.
        """
        outputs = like(self._kept_outputs(x), x)
        return self._coded.decide(outputs)

    def staged_outputs(self, x: Array) -> Iterator[Array]:
        """The regression's outputs `(n, k)` at each of `stages_`."""
        images = self.images_as_fitted(x)
        for stage in self.stages_:
            yield like(self.fitted_.outputs(images, stage), x)

    def staged_predict(self, x: Array) -> Iterator[Array]:
        """Predictions at each of `stages_`."""
        for outputs in self.staged_outputs(x):
            yield self._coded.decide(outputs)

    def feature_maps(self, x: Array, layer: int = 1) -> Array:
        """|M^(1/2) x[u]| at every patch position u: what the metric looks at (Sec. 2.2 of the paper).

        Args:
            x: images with the channels of the training images, of any size that holds a patch.
            layer: whose metric, from 1.

        Returns:
            `(n, rows, cols)`.

        Raises:
            InputError: for images of other channels or smaller than a patch, and for a layer that is not there.
        """
        fitted = self.fitted_
        images = self._images(x, self._shape_of(x))
        return like(fitted.feature_maps(images, layer), x)

    def to_torch(self, n_filters: int | None = 64, random_state: int | None = 0) -> nn.Sequential:
        """The learned metric as the first convolution of a network, without bias; of a deep model, as its first layers.

        Args:
            n_filters: how many filters are drawn from N(0, 2 M / tr M), which is He's initialization where M is the
                identity; a ReLU follows them. None for the rows of a root of M, without ReLU: the norm over channels of what
                comes out is `feature_maps`.
            random_state: seed of the draw.

        Returns:
            `(n, c, h, w)` to `(n, n_filters, rows, cols)`, padded as the kernel's windows on images of the training images'
            size, in their precision and on their device. The layers of a deep model come first: its filters and activation.

        Raises:
            InputError: if `n_filters` is no number of filters, or `random_state` no seed.
        """
        return convolutions(self.fitted_, n_filters, random_state)

    def images_as_fitted(self, x: Array) -> Float[Tensor, "n c h w"]:
        """Images as a tensor of the size and precision of the training images, on their device; raises `InputError`."""
        fitted = self.fitted_
        images = self._images(x, self.image_shape)
        check_same_size(images, fitted.x, type(self).__name__)
        return images

    @property
    def fitted_(self) -> FittedLayers:
        """All that the fit left, as tensors on its device; raises scikit-learn's `NotFittedError` before it."""
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet; call fit(x, y) first.")
        return self._fitted

    @property
    def layers_(self) -> tuple[FittedLayer, ...]:
        """Every layer with every finished round."""
        return self.fitted_.layers

    @property
    @abstractmethod
    def stages_(self) -> list[Stage]:
        """The rounds whose outputs `staged_outputs` gives, from the fixed kernel on."""

    @property
    def history_(self) -> list[dict[str, Any]]:
        """A record for each round; see `ConvRFMClassifier`."""
        return self.fitted_.history

    @property
    def x_fit_(self) -> Float[Tensor, "n c h w"]:
        """The training images, without those of weight 0."""
        return self.fitted_.x

    @property
    def n_features_in_(self) -> int:
        """c h w."""
        return self.fitted_.x[0].numel()

    @property
    def ridge_(self) -> float:
        """The ridge of the kept round."""
        return self.fitted_.kept.round.ridge

    @property
    def dual_coef_(self) -> Array:
        """The coefficients of the kept round, `(n, k)`; none with random features, which have `coef_`."""
        if not isinstance(self.fitted_.solver, Exact):
            raise AttributeError('with solver="features" the regression has no dual_coef_: see coef_.')
        return self._as_given(self.fitted_.kept.round.coef)

    @property
    def coef_(self) -> Array:
        """The coefficients of the random features in the kept round, `(columns, k)`; without them, `dual_coef_`."""
        return self._as_given(self.fitted_.kept.round.coef)

    def _shape_of(self, x: Array) -> tuple[int, int, int] | None:
        """Of images of any size: as it was said where they are flattened, or where it was said that channels come first."""
        if np.ndim(x) != 4 or self.image_shape is None:
            return self.image_shape if np.ndim(x) == 2 else None
        channels, height, width = np.shape(x)[1:]
        return channels, height, width

    def _kept_outputs(self, x: Array) -> Float[Tensor, "n k"]:
        fitted = self.fitted_
        return fitted.outputs(self.images_as_fitted(x), fitted.kept)

    def _images(self, x: Array, image_shape: tuple[int, int, int] | None) -> Float[Tensor, "n c h w"]:
        """Images of any size where and as precise as the training images are: what every method takes them through.

        They passed what the training images passed, as far as names of columns and values tell.
        """
        check_columns(self, x)
        images = to_device(check_images(x, image_shape=image_shape), chosen_device(self.device))
        if self.preprocessing_ is not None and self.preprocessing_.tells_scale:
            self.preprocessing_.check(images)
        else:
            self._warn_of_another_scale(images)
        return in_precision_of(self.fitted_.x, images)

    def _warn_of_another_scale(self, images: Tensor) -> None:
        """Tell of images that are to those of the fit as bytes are to fractions of white."""
        of_fit, given = self.fitted_.largest, max(abs(float(images.min())), abs(float(images.max())))
        least, most = sorted((of_fit, given))
        if least and FAR < most / least < FARTHEST:
            warnings.warn(
                f"values of these images reach {given:.3g}, those that the model was fitted to {of_fit:.3g}: bring them to one "
                "scale.",
                stacklevel=4,
            )

    def _as_given(self, tensor: Tensor) -> Array:
        """As an array where the fit was to arrays."""
        return tensor.cpu().numpy() if self._as_arrays else tensor

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")
