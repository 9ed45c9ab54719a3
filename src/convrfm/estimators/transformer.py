"""What a ConvRFM learned as features for any other model."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from ..errors import InputError
from ..maths.precision import convolutions_as_products, full_precision
from .conv_rfm import ConvRFMClassifier
from .given.arrays import Array, like
from .machine import RecursiveFeatureMachine
from .settings import check_choice, check_count, check_names, check_seed
from .to_torch import NORMALIZED

NUMBERS_AT_ONCE = 2**24  # of feature maps that are alive together


@dataclass(eq=False, repr=False)
class ConvRFMFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Features of images under a learned patch metric M, as a scikit-learn transformer.

    Images of a deep estimator first pass its layers of random features; M is its last layer's. Beside the features
    themselves the memory is bounded: images are taken in batches.

    Args:
        estimator: the ConvRFM that learns M, a copy of which is fitted; None for `ConvRFMClassifier()`. One that is fitted
            already comes as `sklearn.frozen.FrozenEstimator(model)`.
        output: "pooled": the averages of ReLU(w^T x[u]) over each cell of a grid of cells, for `n_filters` random filters w
            drawn from N(0, 2 M / tr M); "maps": |M^(1/2) x[u]| at every position u.
        n_filters: random filters of "pooled".
        pool: cells along each side for "pooled", not more than there are positions; 1 for the average over the image.
        random_state: seed of the filters.

    Attributes:
        estimator_: the fitted estimator.
        network_: a `torch.nn.Module`, images to feature maps; see `to_torch`.
        n_features_in_: c h w.

    Example:
        >>> import numpy as np
        >>> from convrfm import ConvRFMRegressor, kernels
        >>> x = np.random.default_rng(0).standard_normal((12, 1, 8, 8))
        >>> learner = ConvRFMRegressor(kernels.Laplace(patch_size=3), n_iterations=1)
        >>> ConvRFMFeatures(learner, n_filters=5).fit_transform(x, x[:, 0, 3, 3]).shape
        (12, 20)
    """

    estimator: RecursiveFeatureMachine | FrozenEstimator | None = None
    _: KW_ONLY
    output: Literal["pooled", "maps"] = "pooled"
    n_filters: int = 256
    pool: int = 2
    random_state: int | None = 0

    @override
    def set_params(self, **params: Any) -> "ConvRFMFeatures":
        """Set parameters, and those of the estimator, such as `estimator__ridge`; raises `InputError` for parts of others."""
        check_names(params, self.get_params(deep=False))
        return super().set_params(**params)

    def fit(
        self,
        x: Array,
        y: Array = None,
        sample_weight: Array | None = None,
        *,
        groups: Array | None = None,
        selection: tuple[Array, Array] | None = None,
    ) -> "ConvRFMFeatures":
        """Fit the estimator; its `fit` tells about the arguments. A frozen one needs no `y`."""
        check_choice("output", self.output, ("pooled", "maps"))
        check_count("n_filters", self.n_filters)
        check_count("pool", self.pool)
        check_seed(self.random_state)
        learner = ConvRFMClassifier() if self.estimator is None else self.estimator
        if isinstance(learner, type) or not hasattr(learner, "to_torch"):
            raise InputError(f"estimator must be an estimator of convrfm, or a frozen one; got {learner!r}.")
        if getattr(learner, "patch_normalization", None) is not None:
            raise InputError(NORMALIZED)
        fitted = clone(learner).fit(x, y, sample_weight=sample_weight, groups=groups, selection=selection)
        n_filters = self.n_filters if self.output == "pooled" else None
        network = fitted.to_torch(n_filters=n_filters, random_state=self.random_state)
        with torch.no_grad():
            maps = network(fitted.x_fit_[:1])
        self.estimator_, self.network_, self._pool = fitted, network, self.pool if n_filters else None
        self._images_at_once = max(1, NUMBERS_AT_ONCE // maps.numel())
        self._n_features_out = self._flattened(maps).shape[1]
        self.n_features_in_ = fitted.n_features_in_
        return self

    @full_precision()
    def transform(self, x: Array) -> Array:
        """The features.

        Args:
            x: images of the size of the training images.

        Returns:
            "pooled": `(n, n_filters cells)`, filter by filter and each row by row; "maps": `(n, rows cols)`; in the precision
            of the training images.
        """
        if not hasattr(self, "network_"):
            raise NotFittedError("this ConvRFMFeatures is not fitted yet; call fit(x, y) first.")
        images = self.estimator_.images_as_fitted(x)
        with torch.no_grad(), convolutions_as_products(images.device):
            parts = [self._flattened(self.network_(part)) for part in images.split(self._images_at_once)]
        return like(torch.cat(parts), x)

    def _flattened(self, maps: Float[Tensor, "n k rows cols"]) -> Float[Tensor, "n features"]:
        if self._pool is None:
            return maps.norm(dim=1).flatten(1)
        rows, cols = maps.shape[-2:]
        return functional.adaptive_avg_pool2d(maps, (min(self._pool, rows), min(self._pool, cols))).flatten(1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
