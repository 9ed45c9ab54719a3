"""Scikit-learn estimators on images."""

from .conv_rfm import ConvRFMClassifier, ConvRFMRegressor, load

__all__ = ["ConvRFMClassifier", "ConvRFMRegressor", "load"]
