"""Networks to measure: the paper's, with its ways of training them, and any that a user names."""

from .cifar_resnet import CifarResNet, resnet20, resnet32
from .designs import DESIGNS, Design
from .naming import drawn_weights, load_network
from .plain_cnns import average_pooled_cnn, cnn_vec, max_pooled_cnn, myrtle_cnn, vanilla_cnn
from .protocols import PROTOCOLS, TrainingProtocol
from .scaling import Scaling, paper_scaling
from .simplenet import simplenet
from .trained import NetworkCard, TrainedNetwork, holds_training, load_trained, write_card
from .training import Epoch, Labeled, Trained, TrainingParts, outputs_of, train
from .weights import fill_with_weights, load_weights

__all__ = [
    "DESIGNS",
    "PROTOCOLS",
    "CifarResNet",
    "Design",
    "Epoch",
    "Labeled",
    "NetworkCard",
    "Scaling",
    "Trained",
    "TrainedNetwork",
    "TrainingParts",
    "TrainingProtocol",
    "average_pooled_cnn",
    "cnn_vec",
    "drawn_weights",
    "fill_with_weights",
    "holds_training",
    "load_network",
    "load_trained",
    "load_weights",
    "max_pooled_cnn",
    "myrtle_cnn",
    "outputs_of",
    "paper_scaling",
    "resnet20",
    "resnet32",
    "simplenet",
    "train",
    "vanilla_cnn",
    "write_card",
]
