"""Networks to measure: the paper's, and any that a user names."""

from .cifar_resnet import CifarResNet, resnet20, resnet32
from .naming import has_random_weights, load_network
from .weights import fill_with_weights, load_weights

__all__ = [
    "CifarResNet",
    "fill_with_weights",
    "has_random_weights",
    "load_network",
    "load_weights",
    "resnet20",
    "resnet32",
]
