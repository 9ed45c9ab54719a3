"""The parameters of all estimators, and what `fit` makes of them and of its arguments: a plan and a problem."""

from abc import abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import KW_ONLY, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import torch
from typing_extensions import override

from ..errors import InputError
from ..kernels.devices import chosen_device
from ..kernels.features import FeatureDraw, FirstFilters, check_drawable
from .ahead.choosing import Regression, as_before, kernel_solver, within_budget
from .ahead.footprint import bytes_learned, bytes_of_filters, bytes_of_metrics, most_filters
from .fitted_machine import FittedMachine
from .given.arrays import Array, check_columns
from .given.augmentation import Augmentation, check_copies, images_of_each
from .given.codings import Coding, Values
from .given.training_set import TrainingSet, Weights, selection_set, training_set
from .kept.begun import begun_fit
from .learning.layers import Keep
from .learning.patch_statistics import InitialMetric, PatchNormalization, of_one_contrast
from .learning.plan import Candidates, Plan
from .learning.problem import Problem
from .learning.starts import FilterDraw
from .settings import (
    agop_indices,
    check_judge,
    check_names,
    check_parameters,
    check_solver,
    ridge_candidates,
    shrinkage_candidates,
)
from .solving.feature_solver import Features
from .solving.solver import Solver, SolverName

Machine = TypeVar("Machine", bound="AskedMachine")


@dataclass(eq=False, repr=False)
class AskedMachine(FittedMachine):
    """The parameters that all estimators share; see `ConvRFMClassifier`."""

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

    @override
    def set_params(self: Machine, **params: Any) -> Machine:
        """Set parameters, each as a whole; raises `InputError` for names of parts of one, such as `kernel__patch_size`."""
        check_names(params, self.get_params(deep=False))
        return super().set_params(**params)

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
        alike = copy(self)
        check_columns(alike, x, learn=True)
        if selection is not None:
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
        if not isinstance(self.initial_metric, str):
            for first, *_ in plan.candidates:
                replace(problem, kernel=first).first_metric()  # refused now, if it does not fit one of them
        return given, plan, within_budget(plan, problem, given.folds, self.memory_budget)

    @abstractmethod
    def _candidates(self, shape: Sequence[int]) -> Candidates:
        """What is to be fitted to images of this shape; raises `InputError`."""

    @abstractmethod
    def _draw(self, seed: int) -> FilterDraw:
        """How the filters between layers are drawn."""

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
            x, n_folds, initial = given.x, len(given.folds), self.initial_metric

            def narrower(memory: int) -> int:
                return most_filters(plan, lambda fewer: bytes_learned(fewer, x, n_folds, initial) <= memory)

            asked = Regression(
                n=len(x),
                outputs=given.y.shape[1],
                ridges=len(ridge_candidates(self.ridge, given.weights)),
                weighted=given.weights is not None,
                grouped=given.groups is not None,
                metrics=bytes_of_metrics(plan, x, n_folds, initial),
                filters=bytes_of_filters(plan, x, n_folds),
                of_each=images_of_each(self.augment),
                narrower=narrower,
            )
            return kernel_solver(
                name,
                asked,
                memory_budget=self.memory_budget,
                device=x.device,
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
