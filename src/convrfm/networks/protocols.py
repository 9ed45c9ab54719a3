"""How the paper trains its networks (Appendix B), as named settings."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError

Loss = Literal["squared", "cross-entropy"]
Change = Literal["flip", "shift"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class TrainingProtocol:
    """All that decides a training beside network, images and seed, as plain values.

    Attributes:
        optimizer: "adam", "sgd" (without momentum), or "adadelta" (rho 0.9, epsilon 1e-3, as for SimpleNet).
        learning_rate: Until the first milestone.
        epochs: At most.
        batch_size: Images a step; the last batch of an epoch may be smaller.
        loss: "cross-entropy", or "squared": the mean over images and outputs of the squared distance to one-hot targets.
        weight_decay: Times half the squared weights, added to the loss.
        milestones: Epochs after which the learning rate is multiplied by `decay`.
        decay: Of the learning rate at each milestone.
        augment: What is done to training images at random: "flip" (left to right), "shift" (up to four pixels).
        patience: Epochs without a better one on held-out images after which training stops; None: never.
        precision: Of products while training; weights, and all that is measured, are float32.

    Raises:
        InputError: If a value is out of range.
    """

    optimizer: Literal["adam", "sgd", "adadelta"] = "adam"
    learning_rate: float = 1e-4
    epochs: int = 500
    batch_size: int = 128
    loss: Loss = "squared"
    weight_decay: float = 0.0
    milestones: tuple[int, ...] = ()
    decay: float = 0.1
    augment: tuple[Change, ...] = ()
    patience: int | None = None
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name, least in {"learning_rate": 0, "weight_decay": 0, "epochs": 1, "batch_size": 1, "patience": 1}.items():
            value = getattr(self, name)
            if value is not None and not least <= value < float("inf"):
                raise InputError(f"{name} must be finite and at least {least}; got {value!r}.")

    def learning_rate_at(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 1."""
        return self.learning_rate * self.decay ** sum(milestone < epoch for milestone in self.milestones)


ADAM = TrainingProtocol()
SGD = TrainingProtocol("sgd", learning_rate=0.1, epochs=2000)
FIG9 = TrainingProtocol(learning_rate=2e-4, loss="cross-entropy")
ADADELTA = TrainingProtocol(
    "adadelta",
    learning_rate=0.1,
    epochs=700,
    batch_size=64,
    loss="cross-entropy",
    weight_decay=1e-3,
    milestones=(100, 190, 306, 390, 440, 540),
    augment=("flip", "shift"),
)
PROTOCOLS: Mapping[str, TrainingProtocol] = {
    "adam": ADAM,
    "adam-toy": TrainingProtocol(epochs=25),
    "sgd": SGD,
    "sgd-toy": TrainingProtocol("sgd", learning_rate=0.1, epochs=100),
    "fig9": FIG9,
    "adadelta": ADADELTA,
}
"""Appendix B of the paper: Adam and SGD for the comparisons (with fewer epochs for the toy tasks), Adam for Fig. 9, and
the Adadelta that the authors of SimpleNet published. The squared loss of the comparisons, and the cross-entropy of the
others, are those of the published code; the paper does not name them."""

OPTIMIZERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
    "adadelta": partial(torch.optim.Adadelta, rho=0.9, eps=1e-3),
}


def optimizer_of(protocol: TrainingProtocol, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """A new optimizer of these parameters."""
    options: dict[str, Any] = {"lr": protocol.learning_rate, "weight_decay": protocol.weight_decay}
    return OPTIMIZERS[protocol.optimizer](parameters, **options)


def loss_of(name: Loss, outputs: Tensor, labels: Tensor) -> Tensor:
    """The mean loss of outputs `(n, k)` at labels `(n,)`."""
    if name == "cross-entropy":
        return functional.cross_entropy(outputs, labels)
    return functional.mse_loss(outputs, functional.one_hot(labels, outputs.shape[1]).to(outputs))
