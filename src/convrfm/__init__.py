"""Feature learning in convolutional networks: measured, and learned without back-propagation."""

from . import cnfa, datasets, kernels
from .estimators import (
    ConvRFMClassifier,
    ConvRFMFeatures,
    ConvRFMRegressor,
    DeepConvRFMClassifier,
    DeepConvRFMRegressor,
    load,
)

__all__ = [
    "ConvRFMClassifier",
    "ConvRFMFeatures",
    "ConvRFMRegressor",
    "DeepConvRFMClassifier",
    "DeepConvRFMRegressor",
    "cnfa",
    "datasets",
    "kernels",
    "load",
]
