"""What all estimators share: their parameters, the fit, and what a fitted one does with images."""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from torch import Tensor, nn

from ..datasets import Preprocessing, check_images
from ..errors import InputError
from ..kernels.description import from_description
from ..kernels.devices import chosen_device
from ..kernels.features import FeatureDraw, check_drawable
from ..kernels.forecast import Forecast
from ..kernels.growth import THOROUGHLY
from ..maths.precision import full_precision
from ..storage.models import ModelHeader
from .arrays import Array, check_columns, check_same_size, in_precision_of, like, to_device
from .candidates import Layers, best_fit, fit_candidates
from .choosing import as_before, kernel_solver
from .codings import Coding, Values
from .fitted_layers import FittedLayers, Stage
from .layer_files import Tensors
from .layers import FittedLayer, Keep
from .outlook import expected_of
from .patch_statistics import InitialMetric, PatchNormalization, of_one_contrast
from .plan import Plan
from .presets import preset
from .problem import Problem
from .records import history_of
from .saving import from_json, save_model
from .settings import agop_indices, check_parameters, ridge_candidates
from .solver import Exact, Features, LearnableKernel, Solver, SolverName
from .to_torch import convolutions
from .training_set import TrainingSet, Weights, selection_set, training_set
from .warm_start import judged_on, layers_to_go_on_from

Machine = TypeVar("Machine", bound="RecursiveFeatureMachine")


@dataclass(eq=False, repr=False)
class RecursiveFeatureMachine(BaseEstimator):
    """What all estimators share; see `ConvRFMClassifier` for the parameters."""

    _: KW_ONLY
    n_iterations: int = 5
    solver: SolverName = "auto"
    n_features: int = 1024
    memory_budget: int | None = None
    tile_folder: str | None = None
    patch_normalization: PatchNormalization = None
    initial_metric: InitialMetric = "identity"
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

    _coding: ClassVar[type[Coding]]
    _deep: ClassVar[bool]
    _fitted: FittedLayers = field(init=False)
    _coded: Coding = field(init=False)
    _as_arrays: bool = field(init=False)
    preprocessing_: ClassVar[Preprocessing | None] = None

    @classmethod
    def from_preset(cls: type[Machine], name: str, **keywords: Any) -> Machine:
        """The settings of the paper or of one of its published codes: "paper", "code-2023" or "science-2024".

        Keywords win over the preset. See `convrfm.estimators.presets` for the table.
        """
        return cls(**(preset(name, deep=cls._deep) | keywords))

    @full_precision()
    def fit(
        self: Machine,
        x: Array,
        y: Array,
        sample_weight: Array | None = None,
        *,
        groups: Array | None = None,
        selection: tuple[Array, Array] | None = None,
        after_round: Callable[[Machine], None] | None = None,
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
            after_round: called with the model of the rounds so far after each of them, to save it for instance.

        Ctrl-C after the first round leaves a fitted model of the rounds that were finished, with a warning.

        Raises:
            InputError: on any input that cannot be learned from; the message says what to change.
        """
        given, plan, problem = self._to_be_fitted(x, y, sample_weight, groups, selection)
        earlier: Sequence[FittedLayer] = ()
        if self.warm_start and self.__sklearn_is_fitted__():
            earlier = layers_to_go_on_from(self._fitted, problem, plan, given.folds)
        if contradiction := problem.contradiction:
            warnings.warn(contradiction, stacklevel=3)

        judges = judged_on(problem, given.folds)

        def remember(fits: Sequence[Layers]) -> None:
            self.preprocessing_ = None
            check_columns(self, x, learn=True)
            self._coded, self._as_arrays = given.coding, not isinstance(x, Tensor)
            self._fitted = FittedLayers.of(problem, best_fit(fits), history_of(fits, deep=self._deep), judges)

        def tell(fits: Sequence[Layers]) -> None:
            if after_round is not None:
                remember(fits)
                after_round(self)

        remember(fit_candidates(plan, problem, given.folds, earlier, verbose=self.verbose, after_round=tell))
        return self

    @full_precision()
    def forecast(
        self, x: Array, y: Array, *, selection: tuple[Array, Array] | None = None, patience: float = THOROUGHLY
    ) -> Forecast:
        """What `fit` would take on this machine, from small runs of its parts: `.seconds` and `.bytes`.

        Args:
            x, y, selection: as for `fit`.
            patience: seconds that one of the runs may take; longer ones tell more.
        """
        given, plan, problem = self._to_be_fitted(x, y, None, None, selection)
        return expected_of(plan, problem, given.folds, patience)

    def _to_be_fitted(
        self,
        x: Array,
        y: Array,
        sample_weight: Array | None,
        groups: Array | None,
        selection: tuple[Array, Array] | None,
    ) -> tuple[TrainingSet, Plan, Problem]:
        """The arguments of `fit`, checked."""
        check_parameters(self.get_params(deep=False), selection)
        if y is None:
            raise InputError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        if selection is not None:
            alike = clone(self)
            check_columns(alike, x, learn=True)
            check_columns(alike, selection[0])
        given = training_set(
            x,
            y,
            sample_weight,
            groups,
            coding=self._coding,
            weigh=self._image_weights,
            cv=self.cv,
            image_shape=self.image_shape,
            device=chosen_device(self.device),
        )
        plan = self._plan(given.x.shape[1:])
        if self.patch_normalization == "contrast":
            first_of = [(of_one_contrast(first, given.x, given.weights), *others) for first, *others in plan.candidates]
            plan = replace(plan, candidates=first_of)
        indices = agop_indices(self.agop_samples, len(given.x), self.random_state)
        problem = Problem(
            kernel=plan.candidates[0][0],
            solver=self._solver(plan, given),
            x=given.x,
            y=given.y,
            weights=given.weights,
            groups=given.groups,
            classify=self._coding.classify,
            ridges=ridge_candidates(self.ridge, given.weights),
            agop_indices=None if indices is None else indices.to(given.x.device),
            agop_ridge=self.agop_ridge,
            initial_metric=self.initial_metric,
            feature_power=self.feature_power,
            feature_trace=self.feature_trace,
            selection=selection_set(selection, given, image_shape=self.image_shape, estimator=type(self).__name__),
        )
        return given, plan, problem

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
        images = self._checked(x, self.image_shape if np.ndim(x) == 2 else None)
        return like(fitted.feature_maps(self._to_device(images), layer), x)

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
        check_columns(self, x)
        images = self._to_device(self._checked(x, self.image_shape))
        check_same_size(images, fitted.x, type(self).__name__)
        return images

    def save(self, path: str | Path, preprocessing: Preprocessing | None = None) -> None:
        """Write the fitted model to one file, without pickle and atomically.

        Args:
            path: the file; an existing one is replaced once the new one is complete.
            preprocessing: how raw pictures became `x`, kept for `convrfm predict`; by default what was loaded with the
                model.

        Kernels, settings and everything that was learned are kept; a splitter in `cv` is not (a number of folds is).
        """
        learned, tensors = self.fitted_.to_file()
        elsewhere = {"tile_folder", *self._parameters_of([layer.kernel for layer in self.layers_])}
        save_model(
            Path(path),
            type(self).__name__,
            {name: value for name, value in self.get_params(deep=False).items() if name not in elsewhere},
            learned | self._coded.to_file() | {"columns": list(getattr(self, "feature_names_in_", ()))},
            tensors,
            self.preprocessing_ if preprocessing is None else preprocessing,
        )

    @classmethod
    def from_file(cls: type[Machine], header: ModelHeader, tensors: Tensors, device: str) -> Machine:
        """The model of which a file holds these; see `convrfm.load`."""
        parameters = {name: from_json(value) for name, value in header.parameters.items()} | {"device": device}
        kernels = [from_description(layer["kernel"]) for layer in header.learned["layers"]]
        model = cls(**(parameters | cls._parameters_of(kernels)))
        # Copied: where in memory a file's bytes lie would decide the last bit of products.
        tensors = {name: to_device(tensor, chosen_device(device), copy=True) for name, tensor in tensors.items()}
        model._coded = cls._coding.from_file(header.learned)
        model._fitted = FittedLayers.from_file(header.learned, tensors, model._coded.n_outputs)
        model._as_arrays = True
        if columns := header.learned["columns"]:
            model.feature_names_in_ = np.array(columns, dtype=object)
        model.preprocessing_ = None if header.preprocessing is None else Preprocessing.from_dict(header.preprocessing)
        return model

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

    @abstractmethod
    def _plan(self, shape: Sequence[int]) -> Plan:
        """What is to be fitted to images of this shape; raises `InputError`."""

    @staticmethod
    @abstractmethod
    def _parameters_of(kernels: Sequence[LearnableKernel]) -> dict[str, Any]:
        """The constructor's parameters that make these kernels, one for each layer; a file keeps the kernels instead."""

    def _solver(self, plan: Plan, given: TrainingSet) -> Solver:
        """How the regressions of this plan are solved.

        Raises:
            InputError: where kernels have no random features, or the exact solver does not keep to the budget.
        """
        goes_on = self.warm_start and self.__sklearn_is_fitted__()
        name, seed = as_before(self.solver, self.random_state, self._fitted.solver if goes_on else None)
        if name != "features":
            return kernel_solver(
                name,
                len(given.x),
                weighted=given.weights is not None,
                grouped=given.groups is not None,
                memory_budget=self.memory_budget,
                device=given.x.device,
                seed=seed,
                folder=None if self.tile_folder is None else Path(self.tile_folder),
            )
        for kernel in chain.from_iterable(plan.candidates):
            check_drawable(kernel)
        return Features(FeatureDraw(int(self.n_features), seed))

    def _image_weights(self, values: Values, sample_weight: Weights) -> Weights:
        """The weight of every image in the regression."""
        return sample_weight

    def _kept_outputs(self, x: Array) -> Float[Tensor, "n k"]:
        fitted = self.fitted_
        return fitted.outputs(self.images_as_fitted(x), fitted.kept)

    def _checked(self, x: Array, image_shape: tuple[int, int, int] | None) -> Array:
        """Images `(n, c, h, w)` that passed what the training images passed, as far as their values tell."""
        images = check_images(x, image_shape=image_shape)
        if self.preprocessing_ is not None:
            self.preprocessing_.check(images)
        return images

    def _to_device(self, images: Array) -> Tensor:
        """Images where and as precise as the training images are."""
        return in_precision_of(self.fitted_.x, to_device(images, chosen_device(self.device)))

    def _as_given(self, tensor: Tensor) -> Array:
        """As an array where the fit was to arrays."""
        return tensor.cpu().numpy() if self._as_arrays else tensor

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags
