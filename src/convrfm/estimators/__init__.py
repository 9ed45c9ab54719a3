"""Scikit-learn estimators on images."""

from pathlib import Path

from .conv_rfm import ConvRFMClassifier, ConvRFMRegressor
from .deep_conv_rfm import DeepConvRFMClassifier, DeepConvRFMRegressor
from .kept.saving import load_model
from .machine import RecursiveFeatureMachine
from .transformer import ConvRFMFeatures

__all__ = [
    "ConvRFMClassifier",
    "ConvRFMFeatures",
    "ConvRFMRegressor",
    "DeepConvRFMClassifier",
    "DeepConvRFMRegressor",
    "load",
]

ESTIMATORS = (ConvRFMClassifier, ConvRFMRegressor, DeepConvRFMClassifier, DeepConvRFMRegressor)


def load(path: str | Path, device: str = "auto") -> RecursiveFeatureMachine:
    """Read a model that `save` wrote. Nothing in the file is executed.

    Args:
        path: the file, or the folder of a run of `convrfm fit`.
        device: where the model is to compute; it need not be where it was fitted.

    Raises:
        ModelFileError: if the file is missing, damaged, not a convrfm model, or of another format version.
    """
    return load_model(Path(path), {t.__name__: t for t in ESTIMATORS}, device)
