"""One training loop for all networks: seeded, stopped on held-out images, continued where it was interrupted."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ..errors import InputError
from ..storage.digests import digest
from .augmentation import augmented
from .checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from .protocols import TrainingProtocol, loss_of, optimizer_of
from .scaling import Scaling
from .weights import write_weights

INITIAL, TRAINED = "initial.safetensors", "weights.safetensors"
MEASURED_AT_ONCE = 500  # images
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"  # torch refuses deterministic products on a GPU where it is not set


class Labeled(NamedTuple):
    """Images and the numbers of their classes."""

    x: Float[Tensor, "n c h w"]
    y: Int64[Tensor, " n"]

    @classmethod
    def of(
        cls, x: Float[np.ndarray, "n c h w"], y: Int64[np.ndarray, " n"], scaling: Scaling | None = None
    ) -> "Labeled":
        """Of arrays, scaled; the images in the order of memory that convolutions are quick with."""
        images = torch.from_numpy(x).contiguous(memory_format=torch.channels_last)
        return cls(images if scaling is None else scaling.apply(images), torch.from_numpy(y))


class TrainingParts(NamedTuple):
    """Images to train on; to stop on; and to report at every epoch, on which nothing is chosen."""

    train: Labeled
    held_out: Labeled | None = None
    test: Labeled | None = None


@dataclass(frozen=True)
class Epoch:
    """One pass. Losses are means over images; accuracies from 0 to 1; None where there are no such images."""

    epoch: int
    learning_rate: float
    train_loss: float
    held_out_loss: float | None
    held_out_accuracy: float | None
    test_accuracy: float | None
    seconds: float


@dataclass(frozen=True)
class Trained:
    """How a training went.

    Attributes:
        epochs: In order.
        kept: The epoch whose weights the network has: the best by held-out accuracy, ties by loss, then the earliest;
            without held-out images the last.
        last: Weights after the last epoch.
    """

    epochs: tuple[Epoch, ...]
    kept: Epoch
    last: dict[str, Tensor]

    @property
    def best_test_accuracy(self) -> float | None:
        """The best of all epochs by test images, as the paper reports; chosen on them, it is too good."""
        return max((epoch.test_accuracy for epoch in self.epochs if epoch.test_accuracy is not None), default=None)


def train(
    network: nn.Module,
    parts: TrainingParts,
    protocol: TrainingProtocol,
    *,
    seed: int,
    folder: Path | None = None,
    watch: Callable[[int], object] = lambda _: None,
    tell: Callable[[Epoch], None] = lambda _: None,
    deterministic: bool = True,
) -> Trained:
    """Train a network where it lies, and leave it with the weights that are kept, in evaluation mode.

    The same network, images, protocol and seed give the same numbers (on one machine, for one number of threads), also
    where the training was killed and continued.

    Args:
        network: With its initial weights; on any device.
        parts: Images, scaled as the network is to have them.
        protocol: How to train.
        seed: Of the order of images, their changes, and dropout; torch's own generator stays as it is.
        folder: Keeps the initial weights (`initial.safetensors`), a checkpoint of every epoch, from which the same call
            goes on, and in the end the trained weights (`weights.safetensors`).
        watch: Called with the number of finished epochs, at first with 0: for instance `cnfa.Tracker(...).update`.
        tell: Takes every finished epoch.
        deterministic: Whether torch refuses operations whose results vary from run to run.

    Raises:
        InputError: If labels do not fit the outputs, the loss is no longer finite, or the folder holds another training.
    """
    with _torch_deterministic(deterministic):
        return _Training(network, parts, protocol, seed, folder).run(watch, tell)


class _Training:
    def __init__(
        self, network: nn.Module, parts: TrainingParts, protocol: TrainingProtocol, seed: int, folder: Path | None
    ) -> None:
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch does not declare this form
        self.parts, self.protocol, self.seed, self.folder = parts, protocol, seed, folder
        self.device = next(network.parameters()).device
        self.optimizer = optimizer_of(protocol, network.parameters())
        self.epochs: list[Epoch] = []
        self.best = self._copied()
        if folder is not None:
            self._resume(folder)

    def run(self, watch: Callable[[int], object], tell: Callable[[Epoch], None]) -> Trained:
        if not self.epochs:
            watch(0)
        while not self._finished:
            epoch = self._epoch(len(self.epochs) + 1)
            self.epochs.append(epoch)
            if self._kept is epoch:
                self.best = self._copied()
            watch(epoch.epoch)
            if self.folder is not None:
                self._write_checkpoint(self.folder)
            tell(epoch)
        last = self._copied()
        self.network.load_state_dict(self.best)
        self.network.eval()
        if self.folder is not None:
            write_weights(self.folder / TRAINED, self.best)
        return Trained(tuple(self.epochs), self._kept, last)

    @property
    def _finished(self) -> bool:
        n, patience = len(self.epochs), self.protocol.patience
        if n >= self.protocol.epochs:
            return True
        return bool(n) and self.parts.held_out is not None and patience is not None and n >= self._kept.epoch + patience

    @property
    def _kept(self) -> Epoch:
        if self.parts.held_out is None:
            return self.epochs[-1]
        return min(self.epochs, key=lambda epoch: (-(epoch.held_out_accuracy or 0), epoch.held_out_loss))

    def _epoch(self, number: int) -> Epoch:
        start = time.perf_counter()
        rate = self.protocol.learning_rate_at(number)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        drawn = np.random.SeedSequence([self.seed, number]).generate_state(2)
        with torch.random.fork_rng():
            torch.manual_seed(int(drawn[0]))  # of dropout
            train_loss = self._pass(torch.Generator().manual_seed(int(drawn[1])))
        if not np.isfinite(train_loss):
            raise InputError(
                f"the training loss of epoch {number} is {train_loss}: training diverged. Lower the learning rate."
            )
        held_out_loss, held_out_accuracy = self._measured(self.parts.held_out)
        _, test_accuracy = self._measured(self.parts.test)
        seconds = time.perf_counter() - start
        return Epoch(number, rate, train_loss, held_out_loss, held_out_accuracy, test_accuracy, round(seconds, 3))

    def _pass(self, generator: torch.Generator) -> float:
        self.network.train()
        x, y = self.parts.train
        total = 0.0
        for batch in torch.randperm(len(y), generator=generator).split(self.protocol.batch_size):
            images = augmented(x[batch], self.protocol.augment, generator).to(self.device)
            self.optimizer.zero_grad()
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.protocol.precision == "bfloat16"):
                outputs = self.network(images)
            loss = loss_of(self.protocol.loss, outputs.float(), y[batch].to(self.device))
            loss.backward()
            self.optimizer.step()
            total += len(batch) * float(loss.detach())
        return total / len(y)

    @torch.no_grad()
    def _measured(self, images: Labeled | None) -> tuple[float | None, float | None]:
        """Mean loss and accuracy."""
        if images is None:
            return None, None
        outputs = outputs_of(self.network, images.x)
        loss = float(loss_of(self.protocol.loss, outputs, images.y))
        return loss, float((outputs.argmax(1) == images.y).double().mean())

    def _copied(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    def _resume(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.identity = {
            "protocol": asdict(self.protocol),
            "seed": self.seed,
            "initial weights": digest({}, self.best),
            "images": [digest({}, part._asdict()) for part in self.parts if part is not None],
        }
        checkpoint = read_checkpoint(folder, self.identity)
        if checkpoint is None:
            write_weights(folder / INITIAL, self.best)
            return
        self.best = checkpoint.restore(self.network, self.optimizer)
        self.epochs = [Epoch(**epoch) for epoch in checkpoint.epochs]

    def _write_checkpoint(self, folder: Path) -> None:
        epochs = [asdict(epoch) for epoch in self.epochs]
        write_checkpoint(folder, Checkpoint.of(self.identity, epochs, self.network, self.best, self.optimizer))


@torch.no_grad()
def outputs_of(network: nn.Module, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
    """Outputs on the CPU, in evaluation mode, in which the network is left."""
    device = next(network.parameters()).device
    network.eval()
    return torch.cat([network(part.to(device)).cpu() for part in x.split(MEASURED_AT_ONCE)])


@contextmanager
def _torch_deterministic(wanted: bool) -> Iterator[None]:
    before, workspace = torch.are_deterministic_algorithms_enabled(), os.environ.get(WORKSPACE)
    torch.use_deterministic_algorithms(wanted)
    if wanted and workspace is None:
        os.environ[WORKSPACE] = ":4096:8"
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        if workspace is None:
            os.environ.pop(WORKSPACE, None)
