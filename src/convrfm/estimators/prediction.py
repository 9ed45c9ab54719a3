"""What a fitted estimator does with images: outputs, predictions, feature maps, a network, a file."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from torch import Tensor, nn

from ..datasets import Preprocessing, check_images
from ..errors import InputError
from ..kernels.devices import chosen_device
from ..maths.patches import filter_patches
from ..maths.psd import psd_factor
from .layers import Layer
from .problem import LearnableKernel
from .rounds import Round
from .saving import Tensors, layers_from_file, layers_to_file, save_model
from .to_torch import convolutions

BYTES_AT_ONCE = 1 << 28  # of what is made of images that are alive together

Array = Any  # a NumPy array or a torch tensor


class Predictor(BaseEstimator):
    """Predictions from the layers that `RecursiveFeatureMachine.fit` leaves."""

    image_shape: tuple[int, int, int] | None
    device: str
    layers_: tuple[Layer, ...]
    history_: list[dict[str, Any]]
    _targets: Float[Tensor, "n k"]
    _weights: Float[Tensor, " n"] | None
    _grouped: bool
    preprocessing_: ClassVar[Preprocessing | None] = None

    def staged_outputs(self, x: Array) -> Iterator[Array]:
        """The regression's outputs `(n, k)` of every finished stage, from the fixed kernel on: a round, or a layer."""
        images = self._check_fitted_images(x)
        for number, round_ in self._stages():
            yield self._like(self._outputs(images, number, round_), x)

    def staged_predict(self, x: Array) -> Iterator[Array]:
        """Predictions of every finished stage, from the fixed kernel on."""
        for outputs in self.staged_outputs(x):
            yield self._decide(outputs)

    def predict(self, x: Array) -> Array:
        """Labels, or for the regressor targets, as they were given to `fit`.

        Args:
            x: images of the size of the training images.
        """
        return self._decide(self._like(self._kept_outputs(x), x))

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
        self._check_is_fitted()
        shape = self.image_shape if np.ndim(x) == 2 else None
        images = self._to_device(check_images(x, image_shape=shape)).to(self.x_fit_)
        channels = self.x_fit_.shape[1]
        if images.shape[1] != channels:
            raise InputError(f"the model was fitted to images of {channels} channels; got {images.shape[1]}.")
        if not isinstance(layer, Integral) or layer not in range(1, len(self.layers_) + 1):
            raise InputError(f"layer must be an integer from 1 to {len(self.layers_)}; got {layer!r}.")
        lengths: Sequence[int] = images.shape[2:]
        for reached in self.layers_[:layer]:
            lengths = [reached.kernel.window.output_length(length) for length in lengths]  # refuses images too small
        chosen = self.layers_[layer - 1]
        root, window = psd_factor(chosen.kept.feature_matrix), chosen.kernel.window
        one = filter_patches(self._through(images[:1], layer - 1), root, window)
        parts = self._parts(images, layer - 1, one.numel())
        return self._like(torch.cat([filter_patches(part, root, window).norm(dim=1) for part in parts]), x)

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
        self._check_is_fitted()
        return convolutions(self.layers_, self.x_fit_.shape[1:], n_filters, random_state)

    def save(self, path: str | Path, preprocessing: Preprocessing | None = None) -> None:
        """Write the fitted model to one file, without pickle and atomically.

        Args:
            path: the file; an existing one is replaced once the new one is complete.
            preprocessing: how raw pictures became `x`, kept for `convrfm predict`; by default what was loaded with the
                model.

        Kernels, settings and everything that was learned are kept; a splitter in `cv` is not (a number of folds is).
        """
        self._check_is_fitted()
        save_model(self, Path(path), self.preprocessing_ if preprocessing is None else preprocessing)

    @abstractmethod
    def _stages(self) -> list[tuple[int, Round]]:
        """The stages of `staged_outputs`: numbers of layers, and rounds of them."""

    @abstractmethod
    def _decide(self, outputs: Array) -> Array:
        """Predictions from the outputs of the regression."""

    @staticmethod
    @abstractmethod
    def _parameters_of(kernels: Sequence[LearnableKernel]) -> dict[str, Any]:
        """The constructor's parameters that make these kernels, one for each layer; a file keeps the kernels instead."""

    def _remember(
        self, layers: Sequence[Layer], data: Tensor, targets: Tensor, weights: Tensor | None, *, as_arrays: bool
    ) -> None:
        self.layers_ = tuple(layers)
        self.x_fit_ = data
        self._targets, self._weights = targets, weights
        self._last_images = self._through(data, len(layers) - 1)
        self.n_features_in_ = int(np.prod(data.shape[1:]))

        def as_given(tensor: Tensor) -> Array:
            return tensor.cpu().numpy() if as_arrays else tensor

        self._expose(as_given)

    def _expose(self, as_given: Callable[[Tensor], Array]) -> None:
        """Set the attributes that users see from `layers_`."""
        kept = self.layers_[-1].kept
        self.ridge_, self.dual_coef_ = kept.ridge, as_given(kept.dual_coef)

    def _learned(self) -> tuple[dict[str, Any], Tensors]:
        learned, tensors = layers_to_file(self.layers_)
        tensors |= {"x_fit": self.x_fit_, "targets": self._targets}
        if self._weights is not None:
            tensors["weights"] = self._weights
        return {"layers": learned, "history": self.history_, "grouped": self._grouped}, tensors

    def _restore(self, learned: dict[str, Any], tensors: Tensors, outputs: int | None) -> None:
        """Take back what `_learned` gave away; `outputs` is how many there must be, None for any number."""
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise ValueError("a tensor holds NaN or infinity")
        # Copied: where in memory a file's bytes lie would decide the last bit of products.
        tensors = {name: self._to_device(tensor, copy=True) for name, tensor in tensors.items()}
        layers = layers_from_file(learned["layers"], tensors, outputs)
        self.history_, self._grouped = learned["history"], bool(learned["grouped"])
        x, targets, weights = tensors["x_fit"], tensors["targets"], tensors.get("weights")
        if targets.shape != layers[-1].kept.dual_coef.shape or not (weights is None or weights.shape == x.shape[:1]):
            raise ValueError(f"targets or weights do not fit {len(x)} images")
        self._remember(layers, x, targets, weights, as_arrays=True)

    def _through(self, images: Tensor, depth: int) -> Float[Tensor, "n k rows cols"]:
        """Images as they arrive after this many layers of random features."""
        for layer in self.layers_[:depth]:
            assert layer.features is not None
            images = layer.features(images)
        return images

    def _training_images(self, number: int) -> Float[Tensor, "n k rows cols"]:
        """The training images as this layer sees them; those of the last layer are kept."""
        return self._last_images if number + 1 == len(self.layers_) else self._through(self.x_fit_, number)

    def _outputs(self, images: Tensor, number: int, round_: Round) -> Float[Tensor, "n k"]:
        kernel, trained = self.layers_[number].kernel, self._training_images(number)
        parts = self._parts(images, number, len(trained))
        return torch.cat([kernel(part, trained, feature_matrix=round_.metric) @ round_.dual_coef for part in parts])

    def _parts(self, images: Tensor, number: int, entries: int) -> Iterator[Float[Tensor, "m k rows cols"]]:
        """Images part by part as this layer sees them: as many as stay within a bound on memory, however many there are.

        Args:
            images: as they are at the first layer.
            number: the layer's, from 0.
            entries: how many numbers will be made of every image of a part, such as a row of the kernel matrix.
        """
        arriving = 2 * self._through(images[:1], number).numel()  # a layer makes new images of those that arrive
        at_once = BYTES_AT_ONCE // ((arriving + entries) * images.element_size())
        for part in images.split(max(1, at_once)):
            yield self._through(part, number)

    def _kept_outputs(self, x: Array) -> Float[Tensor, "n k"]:
        images = self._check_fitted_images(x)
        return self._outputs(images, len(self.layers_) - 1, self.layers_[-1].kept)

    def _to_device(self, values: Array, *, copy: bool = False) -> Tensor:
        if not isinstance(values, Tensor):
            values = torch.from_numpy(np.require(values, requirements=["C", "W"]))
        return values.detach().to(chosen_device(self.device), copy=copy)

    def _check_fitted_images(self, x: Array) -> Float[Tensor, "n c h w"]:
        self._check_is_fitted()
        images = self._to_device(check_images(x, image_shape=self.image_shape)).to(self.x_fit_)
        self._check_same_size(images, self.x_fit_)
        return images

    def _check_is_fitted(self) -> None:
        if not hasattr(self, "layers_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet; call fit(x, y) first.")

    def _check_same_size(self, images: Tensor, fitted: Tensor) -> None:
        if images.shape[1:] == fitted.shape[1:]:
            return
        n, n_fitted = images[0].numel(), fitted[0].numel()
        counts = f"X has {n} features, but {type(self).__name__} is expecting {n_fitted} features as input: "
        expected, got = (" x ".join(map(str, batch.shape[1:])) for batch in (fitted, images))
        raise InputError(
            counts
            * (n != n_fitted)
            + f"the model was fitted to images of {expected} (channels x height x width); got {got}. Resize them, or fit a "
            "model to this size."
        )

    @staticmethod
    def _like(result: Tensor, x: Array) -> Array:
        return result.to(x.device) if isinstance(x, Tensor) else result.cpu().numpy()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags
