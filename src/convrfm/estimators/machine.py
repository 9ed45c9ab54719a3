"""What all estimators share: from images to layers of rounds, and from the kept rounds to outputs."""

import sys
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Shaped
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from torch import Tensor, nn

from ..datasets import Preprocessing, check_images
from ..errors import InputError
from ..kernels.devices import chosen_device
from ..maths.patches import filter_patches
from ..maths.psd import psd_factor
from .forecast import Forecast, forecast
from .layers import FilterDraw, Keep, Layer, fit_layers
from .presets import preset
from .problem import PatchKernel, Problem
from .progress import shown_progress, within
from .rounds import Fold, Round, record_of
from .saving import Tensors, layers_from_file, layers_to_file, save_model
from .settings import (
    agop_indices,
    check_choice,
    check_groups,
    check_iterations,
    check_judge,
    check_positive,
    check_seed,
    check_weights,
    fold_indices,
    ridge_candidates,
)
from .to_torch import convolutions

LONG_FIT_SECONDS = 30.0
WORTH_A_FORECAST = 5e8  # pairs of images, times their pixels, in all rounds
PREDICTED_AT_ONCE = 512  # images

Machine = TypeVar("Machine", bound="RecursiveFeatureMachine")
Array = Any  # a NumPy array or a torch tensor
Values = Shaped[np.ndarray, "n *k"]
Weights = Float[np.ndarray, " n"]


@dataclass(eq=False, repr=False)
class RecursiveFeatureMachine(BaseEstimator):
    """What all estimators share; see `ConvRFMClassifier` for the parameters."""

    _: KW_ONLY
    n_iterations: int = 5
    ridge: float | Sequence[float] | Literal["loo"] = "loo"
    agop_samples: int | slice | Array | None = None
    keep: Keep = "best"
    choose_on: Literal["loo", "selection"] = "loo"
    cv: Any = None
    feature_power: float = 0.5
    feature_trace: float | None = None
    agop_ridge: Literal["chosen", "last"] = "chosen"
    image_shape: tuple[int, int, int] | None = None
    device: str = "auto"
    random_state: int | None = 0
    warm_start: bool = False
    verbose: bool = False

    preprocessing_: ClassVar[Preprocessing | None] = None
    _classify: ClassVar[bool]
    _deep: ClassVar[bool] = False

    @classmethod
    def from_preset(cls: type[Machine], name: str, **keywords: Any) -> Machine:
        """The settings of the paper or of one of its published codes: "paper", "code-2023" or "science-2024".

        Keywords win over the preset. See `convrfm.estimators.presets` for the table.
        """
        return cls(**(preset(name, deep=cls._deep) | keywords))

    def fit(
        self: Machine,
        x: Array,
        y: Array,
        sample_weight: Array | None = None,
        *,
        groups: Array | None = None,
        selection: tuple[Array, Array] | None = None,
    ) -> Machine:
        """Fit `n_iterations` + 1 rounds (of every layer) and keep one.

        Args:
            x: images `(n, c, h, w)`, `(n, h, w)`, or `(n, c h w)` with `image_shape`.
            y: labels `(n,)` or, for the regressor, targets `(n,)` or `(n, k)`.
            sample_weight: `(n,)`, not negative: an image of weight w counts as w images, which are left out together; one of
                weight 0 does not count at all.
            groups: `(n,)`, of which patient or track each image is: a whole group is left out together by leave-one-out
                and by a number of folds in `cv`; a splitter is given the groups.
            selection: images and labels on which ridge and round are chosen where `choose_on="selection"`, never used
                otherwise.

        Raises:
            InputError: on any input that cannot be learned from; the message says what to change.
        """
        self._check_parameters(selection)
        if y is None:
            raise InputError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        images = check_images(x, image_shape=self.image_shape)
        values = self._check_y(y, len(images))
        weights = check_weights(sample_weight, len(images))
        numbers = check_groups(groups, len(images))
        folds = fold_indices(self.cv, values, numbers, weights, classify=self._classify)
        if weights is not None:
            counted = np.flatnonzero(weights)
            images, values, weights = images[counted], values[counted], weights[counted]
            numbers = None if numbers is None else numbers[counted]
        if numbers is not None and not (numbers != numbers[0]).any():
            raise InputError("groups must be at least two, since one is left out at a time; all images are of one.")
        weights = self._image_weights(values, weights)
        targets, learned = self._encode(values)
        data = self._to_device(images)
        if len(data) < 2 or bool((data == data[:1]).all()):
            raise InputError(
                f"fit needs images that differ; got {len(data)} sample(s), all alike. Check how they were read."
            )
        candidates = self._candidates(data.shape[1:])
        indices = agop_indices(self.agop_samples, len(data), self.random_state)
        problem = Problem(
            kernel=candidates[0][0],
            x=data,
            y=targets.to(data.device),
            weights=None if weights is None else torch.from_numpy(weights).to(data.device),
            groups=None if numbers is None else torch.from_numpy(numbers).to(data.device),
            classify=self._classify,
            ridges=ridge_candidates(self.ridge),
            agop_indices=None if indices is None else indices.to(data.device),
            agop_ridge=self.agop_ridge,
            feature_power=self.feature_power,
            feature_trace=self.feature_trace,
            selection=self._selection(selection, data, learned),
        )
        fits = self._fit_candidates(problem, candidates, folds, self._earlier(problem, candidates))
        self.preprocessing_ = None
        for name, value in learned.items():
            setattr(self, name, value)
        self._grouped = numbers is not None
        chosen = max(range(len(fits)), key=lambda i: (fits[i][-1].kept.judged.rank, -i))
        self.history_ = _history(fits, deep=self._deep)
        self._remember(fits[chosen], data, problem.y, problem.weights, as_arrays=not isinstance(x, Tensor))
        return self

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
            x: images of any size with the channels of the training images.
            layer: whose metric, from 1.

        Returns:
            `(n, rows, cols)`.
        """
        self._check_is_fitted()
        shape = self.image_shape if np.ndim(x) == 2 else None
        images = self._to_device(check_images(x, image_shape=shape)).to(self.x_fit_)
        channels = self.x_fit_.shape[1]
        if images.shape[1] != channels:
            raise InputError(f"the model was fitted to images of {channels} channels; got {images.shape[1]}.")
        if layer not in range(1, len(self.layers_) + 1):
            raise InputError(f"layer must be from 1 to {len(self.layers_)}; got {layer!r}.")
        chosen = self.layers_[layer - 1]
        root = psd_factor(chosen.kept.feature_matrix)
        parts = [
            filter_patches(part, root, chosen.kernel.window).norm(dim=1) for part in self._parts(images, layer - 1)
        ]
        return self._like(torch.cat(parts), x)

    def to_torch(self, n_filters: int | None = 64, random_state: int | None = 0) -> nn.Sequential:
        """The learned metric as the first convolution of a network, without bias; of a deep model, as its first layers.

        Args:
            n_filters: how many filters are drawn from N(0, 2 M / tr M), which is He's initialisation where M is the
                identity; a ReLU follows them. None for the rows of a root of M, without ReLU: the norm over channels of what
                comes out is `feature_maps`.
            random_state: seed of the draw.

        Returns:
            `(n, c, h, w)` to `(n, n_filters, rows, cols)`, padded as the kernel's windows on images of the training images'
            size, in their precision and on their device. The layers of a deep model come first: its filters and activation.

        Raises:
            InputError: if `n_filters` is no number of filters.
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
    def _candidates(self, shape: Sequence[int]) -> list[tuple[PatchKernel, ...]]:
        """The kernels of every layer, once for each candidate, for images of this shape; raises `InputError`."""

    @abstractmethod
    def _draw(self) -> FilterDraw | None:
        """How filters between layers are drawn."""

    @abstractmethod
    def _stages(self) -> list[tuple[int, Round]]:
        """The stages of `staged_outputs`: numbers of layers, and rounds of them."""

    @staticmethod
    @abstractmethod
    def _parameters_of(kernels: Sequence[PatchKernel]) -> dict[str, Any]:
        """The constructor's parameters that make these kernels, one for each layer; a file keeps the kernels instead."""

    def _expose(self, as_given: Callable[[Tensor], Array]) -> None:
        """Set the attributes that users see from `layers_`."""
        kept = self.layers_[-1].kept
        self.ridge_, self.dual_coef_ = kept.ridge, as_given(kept.dual_coef)

    @abstractmethod
    def _check_y(self, y: Array, n: int) -> Values:
        """Labels or targets of n images as an array; raises `InputError`."""

    @abstractmethod
    def _encode(self, values: Values) -> tuple[Float[Tensor, "n k"], dict[str, Any]]:
        """Targets of the regression from labels, and what is to be remembered about the labels, by attribute."""

    @abstractmethod
    def _targets_of(self, values: Values, learned: dict[str, Any]) -> Float[Tensor, "n k"]:
        """Targets of further labels, given what `_encode` learned."""

    @abstractmethod
    def _decide(self, outputs: Array) -> Array:
        """Predictions from the outputs of the regression."""

    def _image_weights(self, values: Values, sample_weight: Weights | None) -> Weights | None:
        """The weight of every image in the regression."""
        return sample_weight

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
        tensors = {name: self._to_device(tensor) for name, tensor in tensors.items()}
        layers = layers_from_file(learned["layers"], tensors, outputs, self.keep)
        self.history_, self._grouped = learned["history"], bool(learned["grouped"])
        x, targets, weights = tensors["x_fit"], tensors["targets"], tensors.get("weights")
        if targets.shape != layers[-1].kept.dual_coef.shape or not (weights is None or weights.shape == x.shape[:1]):
            raise ValueError(f"targets or weights do not fit {len(x)} images")
        self._remember(layers, x, targets, weights, as_arrays=True)

    def _fit_candidates(
        self,
        problem: Problem,
        candidates: Sequence[tuple[PatchKernel, ...]],
        folds: Sequence[np.ndarray],
        earlier: Sequence[Layer],
    ) -> list[list[Layer]]:
        """The layers of every candidate; those that an interrupt left, if any round was finished."""
        fits: list[list[Layer]] = []
        self._announce(problem, candidates, len(folds))
        with shown_progress(shown=self.verbose) as watch:
            try:
                for number, kernels in enumerate(candidates, 1):
                    start = replace(problem, kernel=kernels[0])
                    fits.append([])
                    fit_layers(
                        fits[-1],
                        start,
                        kernels,
                        n_iterations=self.n_iterations,
                        keep=self.keep,
                        draw=self._draw(),
                        folds=[Fold(start, torch.from_numpy(held_out).to(start.x.device)) for held_out in folds],
                        earlier=earlier,
                        watch=within(f"kernel {number}/{len(candidates)}", watch) if len(candidates) > 1 else watch,
                    )
            except KeyboardInterrupt:
                for layers in fits:
                    layers[:] = [layer for layer in layers if layer.rounds]
                fits = [layers for layers in fits if layers]
                # A warm start may have begun to replace layers: those that were finished are worth more.
                if len(earlier) > max(map(len, fits), default=0):
                    fits = [list(earlier)]
                if not fits:
                    raise
                for layers in fits:
                    layers[-1].features = None
                finished = sum(len(layer.rounds) for layers in fits for layer in layers)
                total = sum(map(len, candidates)) * (self.n_iterations + 1)
                warnings.warn(f"interrupted: {finished} of {total} rounds are kept.", stacklevel=3)
        return fits

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

    def _earlier(self, problem: Problem, candidates: Sequence[tuple[PatchKernel, ...]]) -> Sequence[Layer]:
        """The layers that `warm_start` goes on from."""
        if not self.warm_start or not hasattr(self, "layers_"):
            return ()
        if self.cv is not None or len(candidates) > 1:
            raise InputError("warm_start goes on with one kernel chosen without folds: pass cv=None and one kernel.")
        finished = max(len(layer.rounds) for layer in self.layers_) - 1
        if tuple(layer.kernel for layer in self.layers_) != candidates[0][: len(self.layers_)]:
            raise InputError("warm_start adds rounds to a fit with the same kernel; pass it, or warm_start=False.")
        then, now = (self.x_fit_, self._targets, self._weights), (problem.x, problem.y, problem.weights)
        if not all(map(_same, then, now)):
            raise InputError(
                "warm_start adds rounds to a fit of the same images, labels and weights; these differ. Pass them again, or "
                "warm_start=False."
            )
        if self._grouped or problem.groups is not None or problem.selection is not None:
            raise InputError(
                "warm_start goes on with leave-one-out of single images: pass neither groups nor a selection."
            )
        if any(round_.judge != self.choose_on for layer in self.layers_ for round_ in layer.rounds):
            raise InputError(
                "warm_start goes on choosing as before: pass the same choose_on and cv, or warm_start=False."
            )
        if self.n_iterations < finished:
            raise InputError(f"warm_start can only add rounds: n_iterations must be at least {finished}.")
        return self.layers_

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
        parts = self._parts(images, number)
        return torch.cat([kernel(part, trained, feature_matrix=round_.metric) @ round_.dual_coef for part in parts])

    def _parts(self, images: Tensor, number: int) -> Iterator[Float[Tensor, "m k rows cols"]]:
        """Images part by part as this layer sees them, so that the memory of a prediction is bounded."""
        for part in images.split(PREDICTED_AT_ONCE):
            yield self._through(part, number)

    def _kept_outputs(self, x: Array) -> Float[Tensor, "n k"]:
        images = self._check_fitted_images(x)
        return self._outputs(images, len(self.layers_) - 1, self.layers_[-1].kept)

    def _announce(self, problem: Problem, candidates: Sequence[tuple[PatchKernel, ...]], n_folds: int) -> None:
        """Say how long a long fit will take, before it starts."""
        rounds = sum(map(len, candidates)) * (self.n_iterations + 1)
        if (
            not self.verbose
            and rounds * (1 + n_folds) * len(problem.x) ** 2 * problem.x[0, 0].numel() < WORTH_A_FORECAST
        ):
            return
        forecasts = [
            forecast(
                kernels,
                self._draw(),
                problem.x,
                outputs=problem.y.shape[1],
                n_iterations=self.n_iterations,
                agop_images=len(problem.x) if problem.agop_indices is None else len(problem.agop_indices),
                n_folds=n_folds,
            )
            for kernels in candidates
        ]
        expected = Forecast(sum(each.seconds for each in forecasts), max(each.bytes for each in forecasts))
        if self.verbose or expected.seconds > LONG_FIT_SECONDS:
            folds = f", each in {n_folds} folds as well," if n_folds else ""
            print(f"fitting {rounds} rounds{folds} on {len(problem.x)} images: {expected} (estimated)", file=sys.stderr)

    def _check_parameters(self, selection: object) -> None:
        check_iterations(self.n_iterations)
        check_choice("keep", self.keep, ("best", "last"))
        check_choice("choose_on", self.choose_on, ("loo", "selection"))
        check_choice("agop_ridge", self.agop_ridge, ("chosen", "last"))
        check_positive("feature_power", self.feature_power)
        check_positive("feature_trace", self.feature_trace)
        check_seed(self.random_state)
        check_judge(self.choose_on, self.cv, selection)

    def _selection(
        self, selection: tuple[Array, Array] | None, data: Tensor, learned: dict[str, Any]
    ) -> tuple[Tensor, Tensor] | None:
        if selection is None:
            return None
        images = check_images(selection[0], image_shape=self.image_shape)
        targets = self._targets_of(self._check_y(selection[1], len(images)), learned)
        moved = self._to_device(images).to(data)
        self._check_same_size(moved, data)
        return moved, targets.to(data.device)

    def _to_device(self, values: Array) -> Tensor:
        """A copy on the device: what is learned must not change with the caller's array."""
        tensor = (
            values.detach().clone() if isinstance(values, Tensor) else torch.from_numpy(np.array(values, order="C"))
        )
        return tensor.to(chosen_device(self.device))

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


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.dtype == b.dtype and torch.equal(a, b.to(a.device))


def _history(fits: Sequence[Sequence[Layer]], *, deep: bool) -> list[dict[str, Any]]:
    """A record for each round: of which candidate, where there are several, and of which layer, where it is deep."""
    records = []
    for candidate, layers in enumerate(fits, 1):
        for number, layer in enumerate(layers, 1):
            place: dict[str, Any] = {"candidate": candidate, "kernel": repr(layer.kernel)} if len(fits) > 1 else {}
            place |= {"layer": number} if deep else {}
            records += [place | record_of(round_) for round_ in layer.rounds]
    return records
