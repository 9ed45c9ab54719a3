"""Networks to measure: the paper's, with its ways of training them, and any that a user names."""

from .cifar_resnet import CifarResNet, resnet20, resnet32
from .designs import DESIGNS, Design
from .naming import has_random_weights, load_network
from .plain_cnns import average_pooled_cnn, cnn_vec, max_pooled_cnn, myrtle_cnn, vanilla_cnn
from .protocols import PROTOCOLS, TrainingProtocol
from .simplenet import simplenet
from .training import Epoch, Labeled, Trained, TrainingParts, outputs_of, train
from .weights import fill_with_weights, load_weights

__all__ = [
    "DESIGNS",
    "PROTOCOLS",
    "CifarResNet",
    "Design",
    "Epoch",
    "Labeled",
    "Trained",
    "TrainingParts",
    "TrainingProtocol",
    "average_pooled_cnn",
    "cnn_vec",
    "fill_with_weights",
    "has_random_weights",
    "load_network",
    "load_weights",
    "max_pooled_cnn",
    "myrtle_cnn",
    "outputs_of",
    "resnet20",
    "resnet32",
    "simplenet",
    "train",
    "vanilla_cnn",
]
