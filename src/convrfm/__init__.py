"""Feature learning in convolutional networks: measured, and learned without back-propagation."""

from . import datasets, kernels
from .estimators import ConvRFMClassifier, ConvRFMRegressor, load

__all__ = ["ConvRFMClassifier", "ConvRFMRegressor", "datasets", "kernels", "load"]
