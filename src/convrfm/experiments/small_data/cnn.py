"""A network of the paper's form, three convolutions of 64 channels and a linear layer without bias, trained its own way.

Adam and the learning rate are the paper's (Appendix B); the loss is cross-entropy, which also says for how many epochs. The
paper's own training, with its squared error, is `corresponding_cnn`.
"""

import math

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn

from ...datasets.sampling import hold_out_fifth
from ...kernels.devices import chosen_device
from .images import LabeledImages

LEARNING_RATE = 1e-4
BATCH = 128
EPOCHS = 500
PATIENCE = 50
FITTED = 0.01  # training loss
LEAST_TO_HOLD_OUT = 5  # images a class


def cnn_predictions(
    train: LabeledImages, x: Float32[np.ndarray, "m c h w"], seed: int, device: str, epochs: int = EPOCHS
) -> Int64[np.ndarray, " m"]:
    """Classes of further images by a network trained on all training images.

    For how many epochs: as many as a first network needs, trained without a stratified fifth, to have its smallest loss
    on that fifth. Where a class has fewer than five images, a fifth of which is none: until the training loss is 0.01.
    """
    training = Training(train, seed, chosen_device(device))
    if np.bincount(train.y).min() < LEAST_TO_HOLD_OUT:
        for _ in range(epochs):
            if training.epoch() < FITTED:
                break
    else:
        kept, held_out = hold_out_fifth(train.y, np.random.default_rng([seed, 2]))
        for _ in range(best_epoch(Training(train.take(kept), seed, training.device), train.take(held_out), epochs)):
            training.epoch()
    return training.outputs(x).argmax(1).numpy()


class Training:
    """A network and its optimizer, epoch by epoch, on a device."""

    def __init__(self, train: LabeledImages, seed: int, device: torch.device) -> None:
        self.device = device
        self.x, self.y = as_channels_last(train.x).to(device), torch.from_numpy(train.y).to(device)
        self.generator = torch.Generator().manual_seed(seed)
        self.network = network(train.x.shape[1:], int(train.y.max()) + 1, seed).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), LEARNING_RATE)

    def epoch(self) -> float:
        """One pass; the mean loss on the way."""
        total = 0.0
        for batch in torch.randperm(len(self.y), generator=self.generator).split(BATCH):
            self.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.network(self.x[batch]), self.y[batch])
            loss.backward()
            self.optimizer.step()
            total += len(batch) * float(loss.detach())
        return total / len(self.y)

    @torch.no_grad()
    def outputs(self, x: Float32[np.ndarray, "m c h w"]) -> Tensor:
        """For further images `(m, k)`, on the CPU."""
        return torch.cat([self.network(part.to(self.device)).cpu() for part in as_channels_last(x).split(BATCH)])


def best_epoch(training: Training, held_out: LabeledImages, epochs: int) -> int:
    """After how many epochs, at most so many, the held-out loss was smallest; training ends 50 epochs later."""
    labels = torch.from_numpy(held_out.y)
    smallest, best = math.inf, 0
    for epoch in range(1, epochs + 1):
        training.epoch()
        loss = float(nn.functional.cross_entropy(training.outputs(held_out.x), labels))
        if loss < smallest:
            smallest, best = loss, epoch
        elif epoch >= best + PATIENCE:
            break
    return best


def network(shape: tuple[int, ...], n_classes: int, seed: int) -> nn.Sequential:
    """PyTorch's default initial weights, drawn with the seed."""
    channels, height, width = shape
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for c in (channels, 64, 64):
            layers += [nn.Conv2d(c, 64, 3, bias=False), nn.ReLU()]
        linear = nn.Linear(64 * (height - 6) * (width - 6), n_classes, bias=False)
        made = nn.Sequential(*layers, nn.Flatten(), linear)
        return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch does not declare this form


def as_channels_last(x: Float32[np.ndarray, "m c h w"]) -> Tensor:
    """The same images in the order of memory that convolutions on CPUs are quick with."""
    return torch.from_numpy(x).contiguous(memory_format=torch.channels_last)
