"""ConvRFM (Algorithm 1 of the paper) as scikit-learn estimators on images."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import r2_score
from torch import Tensor

from ..datasets import check_labels
from ..errors import InputError
from .machine import Array, RecursiveFeatureMachine
from .saving import Tensors, labels_from_json, labels_to_json, load_model
from .targets import check_targets, encode_labels, one_hot


class ConvRFMClassifier(ClassifierMixin, RecursiveFeatureMachine):
    """Kernel ridge regression of one-hot labels with a convolutional kernel whose patch metric M is learned.

    Round 0 is the fixed kernel. Every update replaces M by the average gradient outer product, over patches, of the
    fitted predictor (Algorithm 1 of the paper), and fits again. Ridge and round are chosen by closed-form
    leave-one-out on the training images, never on test data.

    Args:
        kernel: a kernel of `convrfm.kernels`.
        n_iterations: updates of M; `history_` has one record more.
        ridge: a number, several (the best is taken), or "loo" for a grid from 1e-8 to 1. K is divided by its largest
            entry
            first, so that a ridge means the same in every round.
        agop_samples: training images at which gradients are taken: None for all, a number (drawn with
            `random_state`), or a
            slice or index array.
        keep: the round that is kept: "best", or "last".
        choose_on: ridge and round are chosen by "loo", or on the "selection" set given to `fit`.
        feature_power: patches are multiplied by AGOP^feature_power: 0.5 makes the metric the AGOP, 1 its square.
        feature_trace: trace to which the metric is scaled; None for d, which keeps the scale of the fixed kernel.
        agop_ridge: which ridge's coefficients feed the AGOP: the "chosen" one's, or the "last" candidate's.
        image_shape: `(c, h, w)` of flattened images.
        device: "auto" (a GPU where there is one), or a torch device.
        random_state: seed of the draw of `agop_samples`.
        verbose: show progress and an estimate of time and memory.

    Attributes:
        feature_matrix_: M, `(d, d)`; the identity at round 0.
        dual_coef_: `(n, k)`; `kernel(x, x_train, feature_matrix=feature_matrix_) @ dual_coef_` is the output.
        ridge_: the ridge of the kept round.
        best_iteration_: the kept round.
        classes_: the labels, sorted.
        rounds_: every finished round, from the fixed kernel on.
        x_fit_: the training images `(n, c, h, w)`, a copy.
        preprocessing_: how raw pictures became images, where the model was loaded with it.
        history_: one record for each round: iteration, ridge, accuracy and mean squared error by leave-one-out, on the
            training images and on the selection set if given, and seconds. Leave-one-out is exact given M; after
            round 0 it is optimistic, because M has seen every label.

    Example:
        >>> from convrfm import datasets, kernels
        >>> x, y = datasets.star(20, generator=np.random.default_rng(0))
        >>> model = ConvRFMClassifier(kernels.NTK(kernels.vanilla(1, patch_size=5)), n_iterations=1).fit(x, y)
        >>> len(model.history_)
        2
    """

    _classify = True

    def decision_function(self, x: Array) -> Array:
        """The outputs, `(n, k)`; for two classes `(n,)`: that of `classes_[1]` minus that of `classes_[0]`."""
        outputs = self._outputs(self._check_fitted_images(x), self._kept)
        return self._like(outputs[:, 1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs, x)

    def score(self, x: Array, y: Array, sample_weight: Array | None = None) -> float:
        """The fraction of right predictions."""
        return float(super().score(x, check_labels(y, len(x)), sample_weight))

    def _encode(self, y: Array, n: int) -> tuple[Float[Tensor, "n k"], dict[str, Any]]:
        classes, codes = encode_labels(check_labels(y, n))
        return one_hot(codes, len(classes)), {"classes_": classes}

    def _targets_of(self, y: Array, n: int, learned: dict[str, Any]) -> Float[Tensor, "n k"]:
        labels, classes = check_labels(y, n), learned["classes_"]
        unknown = np.setdiff1d(labels, classes)
        if len(unknown):
            raise InputError(f"the selection set holds labels that the training set lacks: {unknown[:5].tolist()}.")
        return one_hot(np.searchsorted(classes, labels), len(classes))

    def _learned(self) -> tuple[dict[str, Any], Tensors]:
        learned, tensors = super()._learned()
        return learned | {"classes": labels_to_json(self.classes_)}, tensors

    def _restore(self, learned: dict[str, Any], tensors: Tensors, outputs: int | None = None) -> None:
        self.classes_ = labels_from_json(learned["classes"])
        super()._restore(learned, tensors, len(self.classes_))

    def _decide(self, outputs: Array) -> Array:
        return self.classes_[np.asarray(outputs.argmax(1).cpu() if isinstance(outputs, Tensor) else outputs.argmax(1))]


class ConvRFMRegressor(RegressorMixin, RecursiveFeatureMachine):
    """Kernel ridge regression with a convolutional kernel whose patch metric M is learned.

    As `ConvRFMClassifier`, for targets `(n,)` or `(n, k)`; ridge and round are chosen by the squared error.
    """

    _classify = False

    def score(self, x: Array, y: Array, sample_weight: Array | None = None) -> float:
        """The coefficient of determination R^2."""
        predictions = self.predict(x.cpu().numpy() if isinstance(x, Tensor) else x)
        return float(r2_score(check_targets(y, len(x)), predictions, sample_weight=sample_weight))

    def _encode(self, y: Array, n: int) -> tuple[Float[Tensor, "n k"], dict[str, Any]]:
        targets = check_targets(y, n)
        return torch.tensor(targets).reshape(n, -1), {"_target_ndim": targets.ndim}

    def _targets_of(self, y: Array, n: int, learned: dict[str, Any]) -> Float[Tensor, "n k"]:
        return torch.tensor(check_targets(y, n)).reshape(n, -1)

    def _learned(self) -> tuple[dict[str, Any], Tensors]:
        learned, tensors = super()._learned()
        return learned | {"target_ndim": self._target_ndim}, tensors

    def _restore(self, learned: dict[str, Any], tensors: Tensors, outputs: int | None = None) -> None:
        self._target_ndim = int(learned["target_ndim"])
        super()._restore(learned, tensors, 1 if self._target_ndim == 1 else None)

    def _decide(self, outputs: Array) -> Array:
        return outputs[:, 0] if self._target_ndim == 1 else outputs


def load(path: str | Path, device: str = "auto") -> ConvRFMClassifier | ConvRFMRegressor:
    """Read a model that `save` wrote. Nothing in the file is executed.

    Args:
        path: the file.
        device: where the model is to compute; it need not be where it was fitted.

    Raises:
        ModelFileError: if the file is missing, damaged, not a convrfm model, or of a newer format.
    """
    estimators: tuple[type, ...] = (ConvRFMClassifier, ConvRFMRegressor)
    return load_model(Path(path), {t.__name__: t for t in estimators}, device)
