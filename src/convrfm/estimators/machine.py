"""What the ConvRFM classifier and regressor share: from images to rounds, and from the kept round to outputs."""

import sys
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from torch import Tensor

from ..datasets import Preprocessing, check_images
from ..errors import InputError
from ..kernels import NTK, vanilla
from ..maths.patches import filter_patches
from ..maths.psd import psd_factor
from .forecast import forecast
from .presets import preset
from .progress import shown_progress
from .rounds import PatchKernel, Problem, Round, best_round, fit_round
from .saving import Tensors, save_model
from .settings import (
    agop_indices,
    check_choice,
    check_iterations,
    check_positive,
    check_selection,
    ridge_candidates,
)
from .targets import Quality

DEFAULT_KERNEL = NTK(vanilla(depth=3))
LONG_FIT_SECONDS = 30.0

Machine = TypeVar("Machine", bound="RecursiveFeatureMachine")
Array = Any  # a NumPy array or a torch tensor


class RecursiveFeatureMachine(BaseEstimator):
    """What classifier and regressor share; see `ConvRFMClassifier` for the parameters."""

    preprocessing_: Preprocessing | None = None

    def __init__(
        self,
        kernel: PatchKernel = DEFAULT_KERNEL,
        *,
        n_iterations: int = 5,
        ridge: float | Sequence[float] | Literal["loo"] = "loo",
        agop_samples: int | slice | Array | None = None,
        keep: Literal["best", "last"] = "best",
        choose_on: Literal["loo", "selection"] = "loo",
        feature_power: float = 0.5,
        feature_trace: float | None = None,
        agop_ridge: Literal["chosen", "last"] = "chosen",
        image_shape: tuple[int, int, int] | None = None,
        device: str = "auto",
        random_state: int | None = 0,
        verbose: bool = False,
    ) -> None:
        self.kernel = kernel
        self.n_iterations = n_iterations
        self.ridge = ridge
        self.agop_samples = agop_samples
        self.keep = keep
        self.choose_on = choose_on
        self.feature_power = feature_power
        self.feature_trace = feature_trace
        self.agop_ridge = agop_ridge
        self.image_shape = image_shape
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def from_preset(cls: type[Machine], name: str, **keywords: Any) -> Machine:
        """The settings of the paper or of one of its published codes: "paper", "code-2023" or "science-2024".

        Keywords win over the preset. See `convrfm.estimators.presets` for the table.
        """
        return cls(**(preset(name) | keywords))

    def fit(self: Machine, x: Array, y: Array, selection: tuple[Array, Array] | None = None) -> Machine:
        """Fit `n_iterations` + 1 rounds and keep one.

        Args:
            x: images `(n, c, h, w)`, `(n, h, w)`, or `(n, c h w)` with `image_shape`.
            y: labels `(n,)` or, for the regressor, targets `(n,)` or `(n, k)`.
            selection: images and labels on which ridge and round are chosen where `choose_on="selection"`, never used
                otherwise.

        Raises:
            InputError: on any input that cannot be learned from; the message says what to change.
        """
        self._check_parameters(selection)
        images = check_images(x, image_shape=self.image_shape)
        targets = self._encode(y, len(images))
        data = self._to_device(images)
        if len(data) < 2 or bool((data == data[:1]).all()):
            raise InputError(f"fit needs images that differ; got {len(data)}, all alike. Check how they were read.")
        problem = Problem(
            kernel=self.kernel,
            x=data,
            y=targets.to(data.device),
            classify=hasattr(self, "classes_"),
            ridges=ridge_candidates(self.ridge),
            agop_images=data[agop_indices(self.agop_samples, len(data), self.random_state)],
            agop_ridge=self.agop_ridge,
            feature_power=self.feature_power,
            feature_trace=self.feature_trace,
            selection=self._selection(selection, data),
        )
        self._announce(problem)
        rounds = self._fit_rounds(problem)
        chosen = rounds[-1] if self.keep == "last" else best_round(rounds)
        self._remember(x, data, rounds, chosen)
        return self

    def staged_predict(self, x: Array) -> Iterator[Array]:
        """Predictions of every finished round, from the fixed kernel on."""
        images = self._check_fitted_images(x)
        for round_ in self.rounds_:
            yield self._decide(self._outputs(images, round_), x)

    def predict(self, x: Array) -> Array:
        """Labels, or for the regressor values, of images."""
        return self._decide(self._outputs(self._check_fitted_images(x), self._kept), x)

    def feature_maps(self, x: Array) -> Array:
        """|M^(1/2) x[u]| at every patch position u: what the metric looks at (Sec. 2.2 of the paper).

        Args:
            x: images of any size with the channels of the training images.

        Returns:
            `(n, rows, cols)`.
        """
        self._check_is_fitted()
        images = self._to_device(check_images(x)).to(self.x_fit_)
        channels = self.x_fit_.shape[1]
        if images.shape[1] != channels:
            raise InputError(f"the model was fitted to images of {channels} channels; got {images.shape[1]}.")
        metric = psd_factor(self._kept.feature_matrix)
        maps = filter_patches(images, metric, self.kernel.window).square().sum(1).sqrt()
        return self._like(maps, x)

    def save(self, path: str | Path, preprocessing: Preprocessing | None = None) -> None:
        """Write the fitted model to one file, without pickle and atomically.

        Args:
            path: the file; an existing one is replaced once the new one is complete.
            preprocessing: how raw pictures became `x`, kept for `convrfm predict`; by default what was loaded with the
                model.
        """
        self._check_is_fitted()
        save_model(self, Path(path), preprocessing or self.preprocessing_)

    @abstractmethod
    def _encode(self, y: Array, n: int) -> Float[Tensor, "n k"]:
        """Targets of the regression from labels; sets what is learned about them."""

    @abstractmethod
    def _targets_of(self, y: Array, n: int) -> Float[Tensor, "n k"]:
        """Targets of further labels, after `_encode`."""

    @abstractmethod
    def _decide(self, outputs: Float[Tensor, "n k"], like: Array) -> Array:
        """Predictions from the outputs of the regression."""

    def _learned(self) -> tuple[dict[str, Any], Tensors]:
        kept = self._kept
        learned = {"history": self.history_, "best_iteration": self.best_iteration_, "ridge": self.ridge_}
        return learned, {"x_fit": self.x_fit_, "feature_matrix": kept.feature_matrix, "dual_coef": kept.dual_coef}

    def _restore(self, learned: dict[str, Any], tensors: Tensors) -> None:
        iteration = int(learned["best_iteration"])
        record = learned["history"][iteration]
        images, metric, dual_coef = (
            self._to_device(tensors[name]) for name in ("x_fit", "feature_matrix", "dual_coef")
        )

        def measured(name: str) -> Quality:
            return Quality(record.get(f"{name}_accuracy"), record[f"{name}_error"])

        kept = Round(
            iteration=iteration,
            feature_matrix=metric,
            dual_coef=dual_coef,
            agop_coef=dual_coef,
            ridge=float(learned["ridge"]),
            train=measured("train"),
            loo=measured("loo"),
            selection=measured("selection") if "selection_error" in record else None,
            seconds=record["seconds"],
        )
        self._remember(np.empty(0), images, [kept], kept)
        self.history_ = learned["history"]

    def _fit_rounds(self, problem: Problem) -> list[Round]:
        rounds: list[Round] = []
        n_rounds = self.n_iterations + 1
        with shown_progress(n_rounds, shown=self.verbose) as watch:
            try:
                for iteration in range(n_rounds):
                    rounds.append(fit_round(problem, rounds[-1] if rounds else None, watch(iteration)))
            except KeyboardInterrupt:
                if not rounds:
                    raise
                warnings.warn(f"interrupted: {len(rounds)} of {n_rounds} rounds are kept.", stacklevel=3)
        return rounds

    def _remember(self, x: Array, data: Tensor, rounds: list[Round], chosen: Round) -> None:
        self.rounds_ = rounds
        self.x_fit_ = data
        self.n_features_in_ = int(np.prod(data.shape[1:]))
        self.best_iteration_ = chosen.iteration
        self.ridge_ = chosen.ridge
        self.feature_matrix_ = self._like(chosen.feature_matrix, x)
        self.dual_coef_ = self._like(chosen.dual_coef, x)
        self.history_ = [self._record(r) for r in rounds]

    def _record(self, round_: Round) -> dict[str, float | int | None]:
        record: dict[str, float | int | None] = {"iteration": round_.iteration, "ridge": round_.ridge}
        for name in ("loo", "train", "selection"):
            measured = getattr(round_, name)
            if measured is not None:
                record |= {f"{name}_error": measured.error}
                if measured.accuracy is not None:
                    record |= {f"{name}_accuracy": measured.accuracy}
        return record | {"seconds": round_.seconds}

    def _outputs(self, images: Tensor, round_: Round) -> Float[Tensor, "n k"]:
        metric = None if round_.iteration == 0 else round_.feature_matrix
        return self.kernel(images, self.x_fit_, feature_matrix=metric) @ round_.dual_coef

    @property
    def _kept(self) -> Round:
        return next(r for r in self.rounds_ if r.iteration == self.best_iteration_)

    def _announce(self, problem: Problem) -> None:
        """Say how long a long fit will take, before it starts."""
        if not self.verbose and len(problem.x) ** 2 * problem.x[0, 0].numel() < 1e8:
            return
        expected = forecast(problem.kernel, problem.x, problem.y.shape[1], self.n_iterations, len(problem.agop_images))
        if self.verbose or expected.seconds > LONG_FIT_SECONDS:
            print(
                f"fitting {self.n_iterations + 1} rounds on {len(problem.x)} images: {expected} (estimated)",
                file=sys.stderr,
            )

    def _check_parameters(self, selection: object) -> None:
        check_iterations(self.n_iterations)
        check_choice("keep", self.keep, ("best", "last"))
        check_choice("choose_on", self.choose_on, ("loo", "selection"))
        check_choice("agop_ridge", self.agop_ridge, ("chosen", "last"))
        check_positive("feature_power", self.feature_power)
        check_positive("feature_trace", self.feature_trace)
        check_selection(self.choose_on, selection)

    def _selection(self, selection: tuple[Array, Array] | None, data: Tensor) -> tuple[Tensor, Tensor] | None:
        if selection is None:
            return None
        images = check_images(selection[0], image_shape=self.image_shape)
        targets = self._targets_of(selection[1], len(images))
        moved = self._to_device(images).to(data)
        self._check_same_size(moved, data)
        return moved, targets.to(data.device)

    def _to_device(self, values: Array) -> Tensor:
        name = self.device
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            return (values if isinstance(values, Tensor) else torch.tensor(values)).to(name)
        except RuntimeError as error:
            raise InputError(
                f'device must be "auto" or a torch device of this machine; got {self.device!r}. {error}'
            ) from error

    def _check_fitted_images(self, x: Array) -> Float[Tensor, "n c h w"]:
        self._check_is_fitted()
        images = self._to_device(check_images(x, image_shape=self.image_shape)).to(self.x_fit_)
        self._check_same_size(images, self.x_fit_)
        return images

    def _check_is_fitted(self) -> None:
        if not hasattr(self, "rounds_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet; call fit(x, y) first.")

    @staticmethod
    def _check_same_size(images: Tensor, fitted: Tensor) -> None:
        if images.shape[1:] != fitted.shape[1:]:
            expected, got = (" x ".join(map(str, shape[1:])) for shape in (fitted.shape, images.shape))
            raise InputError(
                f"the model was fitted to images of {expected} (channels x height x width); got {got}. Resize them, "
                f"or fit "
                "a model to this size."
            )

    @staticmethod
    def _like(result: Tensor, x: Array) -> Array:
        return result.to(x.device) if isinstance(x, Tensor) else result.cpu().numpy()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags
