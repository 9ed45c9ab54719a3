"""What all estimators share: their parameters, the fit, and its files."""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from ..datasets import Preprocessing
from ..kernels.arrays import settled_layout
from ..kernels.description import from_description
from ..kernels.devices import chosen_device
from ..kernels.forecast import Forecast
from ..kernels.growth import THOROUGHLY
from ..maths.precision import full_precision
from ..storage.models import ModelHeader
from ..workers import workers
from .ahead.outlook import expected_of
from .asked_machine import AskedMachine
from .candidates import Layers, best_fit, fit_candidates, n_rounds
from .given.arrays import Array, check_columns, to_device
from .kept.begun import begun_fit
from .kept.fitted_layers import FittedLayers
from .kept.layer_files import Tensors
from .kept.records import history_of
from .kept.saving import from_json, save_model
from .kept.warm_start import fits_to_go_on_from, judged_on
from .learning.patch_statistics import without_contrast
from .presets import preset
from .solving.solver import LearnableKernel

Machine = TypeVar("Machine", bound="RecursiveFeatureMachine")


@dataclass(eq=False, repr=False)
class RecursiveFeatureMachine(AskedMachine):
    """What all estimators share; see `ConvRFMClassifier` for the parameters."""

    @classmethod
    def from_preset(cls: type[Machine], name: str, **keywords: Any) -> Machine:
        """The settings of the paper or of one of its published codes: "paper", "code-2023" or "science-2024".

        Keywords win over the preset. See `convrfm.estimators.presets` for the table.
        """
        return cls(**(preset(name, deep=cls._deep) | keywords))

    @full_precision()
    @settled_layout()
    def fit(
        self: Machine,
        x: Array,
        y: Array,
        sample_weight: Array | None = None,
        *,
        groups: Array | None = None,
        selection: tuple[Array, Array] | None = None,
        after_round: Callable[[Machine], None] | None = None,
        n_test: int = 0,
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
            n_test: images at which `staged_outputs` are asked for afterwards: estimates of long fits tell their time too.

        Ctrl-C after the first round leaves a fitted model of the rounds that were finished, with a warning.

        Raises:
            InputError: on any input that cannot be learned from; the message says what to change.
        """
        given, plan, problem = self._to_be_fitted(x, y, sample_weight, groups, selection)
        earlier: list[Layers] = [()] * len(plan.candidates)
        if goes_on := self.warm_start and self.__sklearn_is_fitted__():
            earlier = fits_to_go_on_from(self._fitted, problem, plan, given.folds)
        for told in filter(None, (problem.contradiction, problem.lost_in_offset)):
            warnings.warn(told, stacklevel=3)

        judges = judged_on(problem, given.folds)

        def remember(fits: Sequence[Layers], *, finished: bool) -> None:
            check_columns(self, x, learn=True)
            self.preprocessing_ = self.preprocessing_ if goes_on else None  # of the same images
            self._coded, self._as_arrays = given.coding, not isinstance(x, Tensor)
            unfinished = () if finished or len(fits) == 1 else tuple(fits)
            self._fitted = FittedLayers.of(
                problem, best_fit(fits), history_of(fits, deep=self._deep), judges, unfinished=unfinished
            )

        def tell(fits: Sequence[Layers]) -> None:
            if after_round is not None:
                remember(fits, finished=False)
                after_round(self)

        begun = begun_fit(self.tile_folder, plan.candidates, given)
        with workers(self.workers) as helping, begun.under_way(problem.solver):
            shared = problem.shared_between(helping)
            fits = fit_candidates(
                plan, shared, given.folds, earlier, verbose=self.verbose, n_test=n_test, after_round=tell
            )
            if finished := sum(map(n_rounds, fits)) == plan.n_rounds:
                begun.complete()
        remember(fits, finished=finished)
        return self

    @full_precision()
    @settled_layout()
    def forecast(
        self,
        x: Array,
        y: Array,
        sample_weight: Array | None = None,
        *,
        groups: Array | None = None,
        selection: tuple[Array, Array] | None = None,
        patience: float = THOROUGHLY,
    ) -> Forecast:
        """What `fit` would take on this machine, from small runs of its parts: `.seconds` and `.bytes`.

        Args:
            x, y, sample_weight, groups, selection: as for `fit`.
            patience: seconds that one of the runs may take; longer ones tell more.
        """
        given, plan, problem = self._to_be_fitted(x, y, sample_weight, groups, selection)
        return expected_of(plan, problem, given.folds, patience)

    def save(self, path: str | Path, preprocessing: Preprocessing | None = None) -> None:
        """Write the fitted model to one file, without pickle and atomically.

        Args:
            path: the file; an existing one is replaced once the new one is complete.
            preprocessing: how raw pictures became `x`, kept for `convrfm predict`; by default what was loaded with the
                model.

        Kernels, settings and everything that was learned are kept, and the training images: predictions by a kernel need them,
        and `warm_start` does. A splitter in `cv` is not kept (a number of folds is).
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
        if parameters.get("patch_normalization") == "contrast":
            kernels[0] = without_contrast(kernels[0])  # which a fit adds, to its own images
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

    @staticmethod
    @abstractmethod
    def _parameters_of(kernels: Sequence[LearnableKernel]) -> dict[str, Any]:
        """The constructor's parameters that make these kernels, one for each layer; a file keeps the kernels instead."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags
