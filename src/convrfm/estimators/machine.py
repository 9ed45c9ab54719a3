"""What all estimators share: their parameters, and the fit from images to layers of rounds."""

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ..datasets import check_images
from ..errors import InputError
from .forecast import announce
from .layers import FilterDraw, Keep, Layer, fit_layers, records_by_layer
from .prediction import Array, Predictor
from .presets import preset
from .problem import LearnableKernel, Problem
from .progress import shown_progress, within
from .rounds import Fold
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

Machine = TypeVar("Machine", bound="RecursiveFeatureMachine")
Values = Shaped[np.ndarray, "n *k"]
Weights = Float[np.ndarray, " n"]


@dataclass(eq=False, repr=False)
class RecursiveFeatureMachine(Predictor):
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

        Ctrl-C after the first round leaves a fitted model of the rounds that were finished, with a warning.

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
        data = self._to_device(images, copy=True)  # what was learned must not change with the caller's array
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
            selection=self._selection(selection, data, targets, learned),
        )
        earlier = self._earlier(problem, candidates)
        if max(problem.ridges) == 0 and (contradicting := len(problem.contradicting)):
            warnings.warn(
                f"ridge=0 asks for a function that meets every target, but {contradicting} of {len(data)} images equal another "
                "one with other targets: they get about the mean, as rounding has it. Remove them, or pass a positive ridge "
                'or ridge="loo".',
                stacklevel=2,
            )
        fits = self._fit_candidates(problem, candidates, folds, earlier)
        self.preprocessing_ = None
        for name, value in learned.items():
            setattr(self, name, value)
        self._grouped = numbers is not None
        chosen = max(range(len(fits)), key=lambda i: (fits[i][-1].kept.judged.rank, -i))
        self.history_ = _history(fits, deep=self._deep)
        self._remember(fits[chosen], data, problem.y, problem.weights, as_arrays=not isinstance(x, Tensor))
        return self

    @abstractmethod
    def _candidates(self, shape: Sequence[int]) -> list[tuple[LearnableKernel, ...]]:
        """The kernels of every layer, once for each candidate, for images of this shape; raises `InputError`."""

    @abstractmethod
    def _draw(self) -> FilterDraw | None:
        """How filters between layers are drawn."""

    @abstractmethod
    def _check_y(self, y: Array, n: int) -> Values:
        """Labels or targets of n images as an array; raises `InputError`."""

    @abstractmethod
    def _encode(self, values: Values) -> tuple[Float[Tensor, "n k"], dict[str, Any]]:
        """Targets of the regression from labels, and what is to be remembered about the labels, by attribute."""

    @abstractmethod
    def _targets_of(self, values: Values, learned: dict[str, Any]) -> Float[Tensor, "n k"]:
        """Targets of further labels, given what `_encode` learned."""

    def _image_weights(self, values: Values, sample_weight: Weights | None) -> Weights | None:
        """The weight of every image in the regression."""
        return sample_weight

    def _fit_candidates(
        self,
        problem: Problem,
        candidates: Sequence[tuple[LearnableKernel, ...]],
        folds: Sequence[np.ndarray],
        earlier: Sequence[Layer],
    ) -> list[list[Layer]]:
        """The layers of every candidate.

        An interrupt leaves those with a finished round. In a warm start it leaves the layers of the fit before where these
        are more than the new ones, or as many of no fewer rounds.
        """
        fits: list[list[Layer]] = []
        announce(
            candidates,
            self._draw(),
            problem,
            n_iterations=self.n_iterations,
            n_folds=len(folds),
            verbose=self.verbose,
        )
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
                        folds=[Fold.of(start, torch.from_numpy(held_out).to(start.x.device)) for held_out in folds],
                        earlier=earlier,
                        watch=within(f"kernel {number}/{len(candidates)}", watch) if len(candidates) > 1 else watch,
                    )
            except KeyboardInterrupt:
                fits = [[layer for layer in layers if layer.rounds] for layers in fits]
                fits = [layers for layers in fits if layers]
                for layers in fits:
                    layers[-1].features = None
                if earlier:
                    fits = [max([list(earlier), *fits], key=_finished)]
                if not fits:
                    raise
                finished = sum(_finished(layers)[1] for layers in fits)
                total = sum(map(len, candidates)) * (self.n_iterations + 1)
                warnings.warn(f"interrupted: {finished} of {total} rounds are kept.", stacklevel=3)
        return fits

    def _earlier(self, problem: Problem, candidates: Sequence[tuple[LearnableKernel, ...]]) -> Sequence[Layer]:
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
        self, selection: tuple[Array, Array] | None, data: Tensor, trained: Tensor, learned: dict[str, Any]
    ) -> tuple[Tensor, Tensor] | None:
        if selection is None:
            return None
        images = check_images(selection[0], image_shape=self.image_shape)
        targets = self._targets_of(self._check_y(selection[1], len(images)), learned)
        if targets.shape[1] != trained.shape[1]:
            raise InputError(
                f"selection must have as many targets an image as y, {trained.shape[1]}; it has {targets.shape[1]}."
            )
        moved = self._to_device(images).to(data)
        self._check_same_size(moved, data)
        return moved, targets.to(data.device)


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.dtype == b.dtype and torch.equal(a, b.to(a.device))


def _finished(layers: Sequence[Layer]) -> tuple[int, int]:
    """How much of a fit is done: its layers count first, then their rounds."""
    return len(layers), sum(len(layer.rounds) for layer in layers)


def _history(fits: Sequence[Sequence[Layer]], *, deep: bool) -> list[dict[str, Any]]:
    """A record for each round: of which candidate, where there are several, and of which layer, where it is deep."""
    records = []
    for candidate, layers in enumerate(fits, 1):
        for number, of_layer in enumerate(records_by_layer(layers), 1):
            kernel = repr(layers[number - 1].kernel)
            place: dict[str, Any] = {"candidate": candidate, "kernel": kernel} if len(fits) > 1 else {}
            place |= {"layer": number} if deep else {}
            records += [place | record for record in of_layer]
    return records
