"""Networks of the paper as plain values: what a run keeps to build them again."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from ..errors import InputError
from .plain_cnns import average_pooled_cnn, cnn_vec, max_pooled_cnn, myrtle_cnn, vanilla_cnn
from .simplenet import simplenet

DESIGNS: Mapping[str, Callable[..., nn.Module]] = {
    "vanilla": vanilla_cnn,
    "cnn-vec": cnn_vec,
    "average-pooled": average_pooled_cnn,
    "max-pooled": max_pooled_cnn,
    "simplenet": simplenet,
    "myrtle": myrtle_cnn,
}


@dataclass(frozen=True)
class Design:
    """A network by its name in `DESIGNS`; None leaves a size as the paper has it.

    Attributes:
        name: "vanilla", "cnn-vec", "average-pooled", "max-pooled", "simplenet" or "myrtle".
        width: Channels of the convolutions (of simplenet: of the first).
        depth: Number of convolutions (vanilla), or 5, 7, 10 (myrtle).
        patch_size: Side of the filters.
        dropout: Share of channels left out after every pooling (simplenet).

    Raises:
        InputError: If there is no such network, or it has no such size.
    """

    name: str
    width: int | None = None
    depth: int | None = None
    patch_size: int | None = None
    dropout: float | None = None

    def __post_init__(self) -> None:
        if self.name not in DESIGNS:
            raise InputError(f"NETWORK must be one of {', '.join(DESIGNS)}; got {self.name!r}.")
        if unknown := [name for name in self.sizes if name not in inspect.signature(DESIGNS[self.name]).parameters]:
            raise InputError(f"{self.name} has none to choose: leave out {unknown[0]}={self.sizes[unknown[0]]}.")

    @property
    def sizes(self) -> dict[str, Any]:
        """Those that were chosen, by name."""
        return {name: value for name, value in asdict(self).items() if name != "name" and value is not None}

    def build(self, image_shape: Sequence[int], n_classes: int, seed: int) -> nn.Module:
        """The network with its initial weights, in evaluation mode.

        Args:
            image_shape: `(channels, height, width)`.
            n_classes: Number of outputs.
            seed: Decides the weights; torch's own generator stays as it is.

        Raises:
            InputError: If the images are too small.
        """
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return DESIGNS[self.name](image_shape, n_classes, **self.sizes).eval()
