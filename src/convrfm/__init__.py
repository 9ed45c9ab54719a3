"""Feature learning in convolutional networks: measured, and learned without back-propagation.

What is named here is imported on first use, so that the command line can explain itself without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("cnfa", "datasets", "kernels"):
        return import_module(f".{name}", __name__)
    return getattr(import_module(".estimators", __name__), name)


def __dir__() -> list[str]:
    return __all__
