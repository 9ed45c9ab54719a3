"""Feature learning in convolutional networks: measured, and learned without back-propagation."""

from . import cnfa, datasets, kernels
from .estimators import ConvRFMClassifier, ConvRFMRegressor, load

__all__ = ["ConvRFMClassifier", "ConvRFMRegressor", "cnfa", "datasets", "kernels", "load"]
