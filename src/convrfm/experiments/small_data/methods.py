"""The contestants: from training images, a seed and a device to what is measured on held-out and on test images."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.pipeline import make_pipeline

from ...estimators import ConvRFMClassifier, ConvRFMRegressor, DeepConvRFMClassifier, DeepConvRFMRegressor
from ...estimators.settings import DEFAULT_RIDGES
from ...maths.calibration import expected_calibration_error
from ...solvers.exact import RidgePath
from ..deep_kernels import kernel_family
from .cnn import cnn_predictions
from .images import DataSet, LabeledImages

Measured = dict[str, float]
Method = Callable[[LabeledImages, DataSet, int, str], Measured]


def conv_rfm(train: LabeledImages, data: DataSet, seed: int, device: str, **settings: Any) -> Measured:
    """ConvRFM, and besides test accuracy everything that the page says about its choices and probabilities."""
    if one_image_a_class(train):
        model = ConvRFMRegressor(random_state=seed, device=device, **settings).fit(train.x, one_hot(train.y))
        return {"test": accuracy(model.predict(data.test.x), data.test)}
    model = ConvRFMClassifier(random_state=seed, device=device, **settings).fit(train.x, train.y)
    by_ridge = accuracy_by_ridge(model, train, data.held_out)
    return tested(model, data) | {
        "round": model.best_iteration_,
        "ridge": model.ridge_,
        "held_out": by_ridge[model.ridge_],
        "held_out_at_best_ridge": max(by_ridge.values()),
    }


def deep_conv_rfm(train: LabeledImages, data: DataSet, seed: int, device: str) -> Measured:
    """Three layers of 64 filters, two updates in each; kernels with the memory and the tolerance of the deep experiment."""
    settings: dict[str, Any] = {"n_iterations": 2, "agop_samples": min(200, len(train.y)), "random_state": seed}
    settings |= {"kernel_family": kernel_family, "device": device}
    if one_image_a_class(train):
        outputs = DeepConvRFMRegressor(**settings).fit(train.x, one_hot(train.y)).predict(data.test.x)
        return {"test": accuracy(outputs, data.test)}
    model = DeepConvRFMClassifier(**settings).fit(train.x, train.y)
    return tested(model, data) | {"held_out": accuracy(model.predict_proba(data.held_out.x), data.held_out)}


def logistic_regression(train: LabeledImages, data: DataSet, seed: int, device: str) -> Measured:
    """Its penalty by cross-validation; with one image a class scikit-learn's default, C = 1. On the CPU.

    The principal components are all there are: a rotation, which leaves the penalised regression as it is and saves time.
    """
    folds = min(5, np.bincount(train.y).min())
    model = LogisticRegressionCV(cv=folds, **LOGISTIC_CV) if folds > 1 else LogisticRegression(max_iter=1000)
    pipeline = make_pipeline(PCA(svd_solver="full"), model).fit(train.pixels, train.y)
    return {"test": float(np.mean(pipeline.predict(data.test.pixels) == data.test.y))}


LOGISTIC_CV: dict[str, Any] = {
    "Cs": np.logspace(-4, 2, 7),
    "l1_ratios": (0.0,),
    "scoring": "accuracy",
    "max_iter": 1000,
    "use_legacy_attributes": False,
}


def random_forest(train: LabeledImages, data: DataSet, seed: int, device: str) -> Measured:
    """300 trees, on the CPU."""
    model = RandomForestClassifier(300, random_state=seed).fit(train.pixels, train.y)
    return {"test": float(model.score(data.test.pixels, data.test.y))}


def cnn(train: LabeledImages, data: DataSet, seed: int, device: str) -> Measured:
    """A network of the paper's form and of the same depth."""
    return {"test": float(np.mean(cnn_predictions(train, data.test.x, seed, device) == data.test.y))}


METHODS: Mapping[str, Method] = {
    "fixed kernel": partial(conv_rfm, n_iterations=0),
    "ConvRFM": partial(conv_rfm, n_iterations=3),
    "ConvRFM, cv=5": partial(conv_rfm, n_iterations=3, cv=5),
    "Deep ConvRFM": deep_conv_rfm,
    "CNN": cnn,
    "logistic regression": logistic_regression,
    "random forest": random_forest,
}


def tested(model: ConvRFMClassifier | DeepConvRFMClassifier, data: DataSet) -> Measured:
    """Accuracy and probabilities on test images, and the accuracy by which ridge and (last) round were chosen."""
    probabilities = model.predict_proba(data.test.x)
    judged = model.layers_[-1].kept.judged.accuracy
    assert judged is not None
    return {
        "test": accuracy(probabilities, data.test),
        "calibration_error": expected_calibration_error(probabilities, data.test.y),
        "judged": judged,
    }


def accuracy_by_ridge(model: ConvRFMClassifier, train: LabeledImages, others: LabeledImages) -> dict[float, float]:
    """The accuracy on other images of the kept round with every ridge that it could have had."""
    x, z = torch.from_numpy(others.x), torch.from_numpy(train.x)
    metric = None if model.best_iteration_ == 0 else torch.from_numpy(model.feature_matrix_)
    path = RidgePath(model.kernel_(z, feature_matrix=metric), torch.from_numpy(one_hot(train.y)))
    meeting = model.kernel_(x, z, feature_matrix=metric).double()
    return {ridge: accuracy((meeting @ path.dual_coef(ridge)).numpy(), others) for ridge in DEFAULT_RIDGES}


def accuracy(outputs: Float[np.ndarray, "m k"], images: LabeledImages) -> float:
    """The fraction whose largest output is that of their class."""
    return float(np.mean(outputs.argmax(1) == images.y))


def one_image_a_class(train: LabeledImages) -> bool:
    """Left out, an image leaves none of its class: no ridge has a leave-one-out accuracy above zero.

    The regressors of one-hot labels serve there, which choose the ridge by the squared error.
    """
    return len(train.y) == len(np.unique(train.y))


def one_hot(labels: Int64[np.ndarray, " n"]) -> Float[np.ndarray, "n k"]:
    """A row for each label with a one at its class."""
    return np.eye(labels.max() + 1)[labels]
