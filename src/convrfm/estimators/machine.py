"""What the ConvRFM classifier and regressor share: from images to rounds, and from the kept round to outputs."""

import sys
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from torch import Tensor

from ..datasets import Preprocessing, check_images
from ..errors import InputError
from ..kernels import NTK, vanilla
from ..kernels.devices import chosen_device
from ..maths.patches import filter_patches
from ..maths.psd import psd_factor
from .forecast import forecast
from .presets import preset
from .progress import shown_progress
from .rounds import PatchKernel, Problem, Round, best_round, fit_round, record_of, round_from_record
from .saving import Tensors, save_model
from .settings import (
    agop_indices,
    check_choice,
    check_iterations,
    check_kernel,
    check_positive,
    check_selection,
    ridge_candidates,
)

DEFAULT_KERNEL = NTK(vanilla(depth=3))
LONG_FIT_SECONDS = 30.0

Machine = TypeVar("Machine", bound="RecursiveFeatureMachine")
Array = Any  # a NumPy array or a torch tensor


class RecursiveFeatureMachine(BaseEstimator):
    """What classifier and regressor share; see `ConvRFMClassifier` for the parameters."""

    preprocessing_: Preprocessing | None = None
    _classify: ClassVar[bool]

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
        targets, learned = self._encode(y, len(images))
        data = self._to_device(images)
        if len(data) < 2 or bool((data == data[:1]).all()):
            raise InputError(f"fit needs images that differ; got {len(data)}, all alike. Check how they were read.")
        problem = Problem(
            kernel=self.kernel,
            x=data,
            y=targets.to(data.device),
            classify=self._classify,
            ridges=ridge_candidates(self.ridge),
            agop_images=data[agop_indices(self.agop_samples, len(data), self.random_state)],
            agop_ridge=self.agop_ridge,
            feature_power=self.feature_power,
            feature_trace=self.feature_trace,
            selection=self._selection(selection, data, learned),
        )
        self._announce(problem)
        rounds = self._fit_rounds(problem)
        chosen = rounds[-1] if self.keep == "last" else best_round(rounds)
        self.preprocessing_ = None
        for name, value in learned.items():
            setattr(self, name, value)
        self._remember(rounds, chosen, data, as_arrays=not isinstance(x, Tensor))
        return self

    def staged_outputs(self, x: Array) -> Iterator[Array]:
        """The regression's outputs `(n, k)` of every finished round, from the fixed kernel on."""
        images = self._check_fitted_images(x)
        for round_ in self.rounds_:
            yield self._like(self._outputs(images, round_), x)

    def staged_predict(self, x: Array) -> Iterator[Array]:
        """Predictions of every finished round, from the fixed kernel on."""
        return map(self._decide, self.staged_outputs(x))

    def predict(self, x: Array) -> Array:
        """Labels, or for the regressor values, of images."""
        return self._decide(self._like(self._outputs(self._check_fitted_images(x), self._kept), x))

    def feature_maps(self, x: Array) -> Array:
        """|M^(1/2) x[u]| at every patch position u: what the metric looks at (Sec. 2.2 of the paper).

        Args:
            x: images of any size with the channels of the training images.

        Returns:
            `(n, rows, cols)`.
        """
        self._check_is_fitted()
        shape = self.image_shape if np.ndim(x) == 2 else None
        images = self._to_device(check_images(x, image_shape=shape)).to(self.x_fit_)
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
        save_model(self, Path(path), self.preprocessing_ if preprocessing is None else preprocessing)

    @abstractmethod
    def _encode(self, y: Array, n: int) -> tuple[Float[Tensor, "n k"], dict[str, Any]]:
        """Targets of the regression from labels, and what is to be remembered about the labels, by attribute."""

    @abstractmethod
    def _targets_of(self, y: Array, n: int, learned: dict[str, Any]) -> Float[Tensor, "n k"]:
        """Targets of further labels, given what `_encode` learned."""

    @abstractmethod
    def _decide(self, outputs: Array) -> Array:
        """Predictions from the outputs of the regression."""

    def _learned(self) -> tuple[dict[str, Any], Tensors]:
        learned = {"history": self.history_, "best_iteration": self.best_iteration_}
        tensors = {"x_fit": self.x_fit_}
        for round_ in self.rounds_:
            tensors[f"feature_matrix.{round_.iteration}"] = round_.feature_matrix
            tensors[f"dual_coef.{round_.iteration}"] = round_.dual_coef
        return learned, tensors

    def _restore(self, learned: dict[str, Any], tensors: Tensors, outputs: int | None) -> None:
        """Take back what `_learned` gave away; `outputs` is how many there must be, None for any number."""
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise ValueError("a tensor holds NaN or infinity")
        images = self._to_device(tensors["x_fit"])
        d = images.shape[1] * self.kernel.window.size**2
        rounds = []
        for record in learned["history"]:
            t = record["iteration"]
            metric, coef = (self._to_device(tensors[f"{name}.{t}"]) for name in ("feature_matrix", "dual_coef"))
            if metric.shape != (d, d) or coef.ndim != 2 or coef.shape != (len(images), outputs or coef.shape[1]):
                raise ValueError(f"round {t} does not fit {len(images)} images with patches of {d} entries")
            rounds.append(round_from_record(record, metric, coef))
        chosen = [r for r in rounds if r.iteration == learned["best_iteration"]]
        if len(chosen) != 1:
            raise ValueError(f"round {learned['best_iteration']} is not among the {len(rounds)} that are stored")
        self._remember(rounds, chosen[0], images, as_arrays=True)

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

    def _remember(self, rounds: list[Round], chosen: Round, data: Tensor, *, as_arrays: bool) -> None:
        self.rounds_ = rounds
        self.x_fit_ = data
        self.n_features_in_ = int(np.prod(data.shape[1:]))
        self.best_iteration_ = chosen.iteration
        self.ridge_ = chosen.ridge
        metric, coef = chosen.feature_matrix, chosen.dual_coef
        self.feature_matrix_, self.dual_coef_ = (t.cpu().numpy() if as_arrays else t for t in (metric, coef))
        self.history_ = [record_of(r) for r in rounds]

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
        check_kernel(self.kernel)
        check_iterations(self.n_iterations)
        check_choice("keep", self.keep, ("best", "last"))
        check_choice("choose_on", self.choose_on, ("loo", "selection"))
        check_choice("agop_ridge", self.agop_ridge, ("chosen", "last"))
        check_positive("feature_power", self.feature_power)
        check_positive("feature_trace", self.feature_trace)
        check_selection(self.choose_on, selection)

    def _selection(
        self, selection: tuple[Array, Array] | None, data: Tensor, learned: dict[str, Any]
    ) -> tuple[Tensor, Tensor] | None:
        if selection is None:
            return None
        images = check_images(selection[0], image_shape=self.image_shape)
        targets = self._targets_of(selection[1], len(images), learned)
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
