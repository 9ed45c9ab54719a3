"""What all estimators share: their parameters, the fit, and its files."""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from ..datasets import Preprocessing
from ..errors import InputError
from ..kernels.description import from_description
from ..kernels.devices import chosen_device
from ..kernels.features import FeatureDraw, FirstFilters, check_drawable
from ..kernels.forecast import Forecast
from ..kernels.growth import THOROUGHLY
from ..maths.precision import full_precision
from ..storage.models import ModelHeader
from ..workers import workers
from .ahead.choosing import Regression, as_before, kernel_solver
from .ahead.footprint import bytes_of_metrics
from .ahead.outlook import check_features_budget, expected_of
from .candidates import Layers, best_fit, fit_candidates, n_rounds
from .fitted_machine import FittedMachine
from .given.arrays import Array, check_columns, to_device
from .given.augmentation import Augmentation, check_copies
from .given.codings import Coding, Values
from .given.training_set import TrainingSet, Weights, selection_set, training_set
from .kept.begun import begun_fit
from .kept.fitted_layers import FittedLayers
from .kept.layer_files import Tensors
from .kept.records import history_of
from .kept.saving import from_json, save_model
from .kept.warm_start import fits_to_go_on_from, judged_on
from .learning.layers import Keep
from .learning.patch_statistics import InitialMetric, PatchNormalization, of_one_contrast
from .learning.plan import Candidates, Plan
from .learning.problem import Problem
from .learning.starts import FilterDraw
from .presets import preset
from .settings import agop_indices, check_judge, check_parameters, check_solver, ridge_candidates, shrinkage_candidates
from .solving.feature_solver import Features
from .solving.solver import LearnableKernel, Solver, SolverName

Machine = TypeVar("Machine", bound="RecursiveFeatureMachine")


@dataclass(eq=False, repr=False)
class RecursiveFeatureMachine(FittedMachine):
    """What all estimators share; see `ConvRFMClassifier` for the parameters."""

    _: KW_ONLY
    n_iterations: int = 5
    solver: SolverName = "auto"
    n_features: int = 1024
    first_filters: FirstFilters = "gaussian"
    memory_budget: int | None = None
    tile_folder: str | None = None
    workers: int | str | None = None
    patch_normalization: PatchNormalization = None
    initial_metric: InitialMetric = "identity"
    augment: Sequence[Augmentation] = ()
    ridge: float | Sequence[float] | Literal["loo"] = "loo"
    agop_samples: int | slice | Array | None = None
    keep: Keep = "best"
    choose_on: Literal["loo", "selection"] = "loo"
    cv: Any = None
    feature_power: float = 0.5
    feature_trace: float | None = None
    shrinkage: float | Sequence[float] = 0.0
    agop_ridge: Literal["chosen", "last"] = "chosen"
    image_shape: tuple[int, int, int] | None = None
    device: str = "auto"
    random_state: int | None = 0
    warm_start: bool = False
    verbose: bool = False

    _coding: ClassVar[type[Coding]]
    _deep: ClassVar[bool]

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
        earlier: list[Layers] = [()] * len(plan.candidates)
        if self.warm_start and self.__sklearn_is_fitted__():
            earlier = fits_to_go_on_from(self._fitted, problem, plan, given.folds)
        if contradiction := problem.contradiction:
            warnings.warn(contradiction, stacklevel=3)

        judges = judged_on(problem, given.folds)

        def remember(fits: Sequence[Layers], *, finished: bool) -> None:
            self.preprocessing_ = None
            check_columns(self, x, learn=True)
            self._coded, self._as_arrays = given.coding, not isinstance(x, Tensor)
            unfinished = () if finished or len(fits) == 1 else tuple(fits)
            self._fitted = FittedLayers.of(
                problem, best_fit(fits), history_of(fits, deep=self._deep), judges, unfinished=unfinished
            )

        def tell(fits: Sequence[Layers]) -> None:
            if after_round is not None:
                remember(fits, finished=False)
                after_round(self)

        with (
            workers(self.workers) as helping,
            begun_fit(self.tile_folder, plan.candidates, given).under_way(problem.solver),
        ):
            shared = problem.shared_between(helping)
            fits = fit_candidates(plan, shared, given.folds, earlier, verbose=self.verbose, after_round=tell)
        remember(fits, finished=sum(map(n_rounds, fits)) == plan.n_rounds)
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
        check_parameters(self.get_params(deep=False))
        check_judge(self.get_params(deep=False), selection)
        if y is None:
            raise InputError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        if selection is not None:
            alike = clone(self)
            check_columns(alike, x, learn=True)
            check_columns(alike, selection[0])
        originals = training_set(
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
        check_copies(originals.x, self.augment)
        candidates = self._candidates(originals.x.shape[1:])
        shallow = all(len(kernels) == 1 for kernels in candidates)
        averaged = tuple(self.augment) if self.solver == "features" and shallow else ()
        given = originals if averaged else originals.with_copies(self.augment)
        if self.patch_normalization == "contrast":
            candidates = [(of_one_contrast(first, given.x, given.weights), *others) for first, *others in candidates]
        name, seed = self._settled(candidates, given)
        plan = Plan(candidates, self._draw(seed), self.n_iterations, self.keep)
        indices = agop_indices(self.agop_samples, len(originals.x), seed)
        if indices is not None:
            indices = torch.cat([indices + first for first in range(0, len(given.x), len(originals.x))])
        problem = Problem(
            kernel=plan.candidates[0][0],
            solver=self._solver(name, seed, plan, given, averaged),
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
            shrinkages=shrinkage_candidates(self.shrinkage),
            selection=selection_set(selection, given, image_shape=self.image_shape, estimator=type(self).__name__),
            of_each=len(given.x) // len(originals.x),
        )
        check_features_budget(plan, problem, given.folds, self.memory_budget)
        return given, plan, problem

    def save(self, path: str | Path, preprocessing: Preprocessing | None = None) -> None:
        """Write the fitted model to one file, without pickle and atomically.

        Args:
            path: the file; an existing one is replaced once the new one is complete.
            preprocessing: how raw pictures became `x`, kept for `convrfm predict`; by default what was loaded with the
                model.

        Kernels, settings and everything that was learned are kept; a splitter in `cv` is not (a number of folds is).
        """
        learned, tensors = self.fitted_.to_file()
        elsewhere = {"tile_folder", "workers", *self._parameters_of([layer.kernel for layer in self.layers_])}
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

    @abstractmethod
    def _candidates(self, shape: Sequence[int]) -> Candidates:
        """What is to be fitted to images of this shape; raises `InputError`."""

    @abstractmethod
    def _draw(self, seed: int) -> FilterDraw:
        """How the filters between layers are drawn."""

    @staticmethod
    @abstractmethod
    def _parameters_of(kernels: Sequence[LearnableKernel]) -> dict[str, Any]:
        """The constructor's parameters that make these kernels, one for each layer; a file keeps the kernels instead."""

    def _settled(self, candidates: Candidates, given: TrainingSet) -> tuple[SolverName, int]:
        """The solver's name and the seed of all draws: as they are given, else as before where a fit goes on."""
        goes_on = self.warm_start and self.__sklearn_is_fitted__()
        earlier = self._fitted.solver if goes_on else begun_fit(self.tile_folder, candidates, given).solver
        return as_before(self.solver, self.random_state, earlier)

    def _solver(
        self, name: SolverName, seed: int, plan: Plan, given: TrainingSet, averaged: tuple[Augmentation, ...]
    ) -> Solver:
        """How the regressions of this plan are solved; random features are averaged over these copies.

        Raises:
            InputError: where kernels have no random features, the exact solver does not keep to the budget, and where
                conjugate gradients are to leave out groups.
        """
        check_solver(name, shared=self.workers is not None, together=None if given.groups is None else "groups")
        folder = None if self.tile_folder is None else Path(self.tile_folder)
        if name != "features":
            asked = Regression(
                n=len(given.x),
                outputs=given.y.shape[1],
                ridges=len(ridge_candidates(self.ridge, given.weights)),
                weighted=given.weights is not None,
                grouped=given.groups is not None,
                metrics=bytes_of_metrics(plan, given.x, len(given.folds)),
            )
            return kernel_solver(
                name,
                asked,
                memory_budget=self.memory_budget,
                device=given.x.device,
                seed=seed,
                folder=folder,
                workers=self.workers,
            )
        for kernel in chain.from_iterable(plan.candidates):
            check_drawable(kernel)
        return Features(FeatureDraw(int(self.n_features), seed, self.first_filters), averaged, folder)

    def _image_weights(self, values: Values, sample_weight: Weights) -> Weights:
        """The weight of every image in the regression."""
        return sample_weight

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags
