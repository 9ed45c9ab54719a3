"""One watched forward pass: the outputs, every product with a weight, and what was left out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ConvRFMError, InputError
from .batches import Batch
from .layers import Names
from .provenance import IMAGES, WEIGHTS
from .skipped import UNSEEN, Skipped, listed
from .state import unchanged
from .target import Target
from .values import copies, holding
from .watching import FinalProduct, Use, Watch

LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


@dataclass(frozen=True)
class Pass:
    """A forward pass.

    Attributes:
        outputs: `(n, k)`.
        uses: Every use of every product.
        skipped: What was left out.
        final: The product that makes the outputs.
        decides: Whether the network makes plain numbers of the images, by which it can decide what it runs.
    """

    outputs: Tensor
    uses: list[Use]
    skipped: list[Skipped]
    final: FinalProduct | None
    decides: bool


def watched(
    network: nn.Module, batch: Batch, target: Callable[[Any, Batch], Any] = lambda raw, _: raw, kept: str | None = None
) -> tuple[Watch, Any]:
    """Run the network on a batch, watched, and take what the target makes of its output.

    Args:
        network: In evaluation mode.
        batch: What it takes.
        target: From the network's output and the batch that was placed for it.
        kept: Name of a layer whose inputs are kept.
    """
    watch = Watch(Names(network), kept)
    for tensor in _weights(network):
        watch.provenance.mark(tensor, WEIGHTS)
    with unchanged(network):
        placed = batch.placed(network)
        for tensor in placed.tensors:
            watch.provenance.mark(tensor, IMAGES)
        with watch.names.watching(), watch.provenance, watch:
            raw = run_network(network, placed)
        watch.left_out.skipped |= dict.fromkeys(_unseen(watch))
        return watch, target(raw, placed)


def _unseen(watch: Watch) -> Iterator[Skipped]:
    """Layers of torch's own that ran without a product."""
    names = [use.name for use in watch.uses] + [skipped.name for skipped in watch.left_out.skipped]
    for name, module in watch.names.ran.items():
        parts = (f"{name}.", f"{name}:", f"{name}[")
        if name and isinstance(module, LAYERS) and not any(n == name or n.startswith(parts) for n in names):
            yield Skipped(name, type(module).__name__, UNSEEN)


def forward(network: nn.Module, batch: Batch, target: Target) -> Pass:
    """Run the network on a batch, noting every product with a weight.

    Args:
        network: In evaluation mode.
        batch: What it takes.
        target: What of its output is differentiated.

    Raises:
        InputError: If the network cannot take the batch, a layer's activations are not finite, or the outputs have the
            wrong form or no gradient.
    """
    watch, outputs = watched(network, batch, target)
    skipped = list(watch.left_out.skipped)
    if not watch.uses:
        raise InputError(
            f"network must contain a convolution or a linear layer; {type(network).__name__} ran none that can be "
            f"measured.{listed(skipped)}"
        )
    if not outputs.requires_grad:
        raise InputError(
            "the outputs must require grad, through the measured layers; these do not. Look for torch.no_grad(), "
            f"detach(), argmax or a rounding in the network or the head.{listed(skipped)}"
        )
    return Pass(outputs, watch.uses, skipped, watch.final(outputs), watch.provenance.decides)


def first_use(network: nn.Module, batch: Batch, name: str) -> Use:
    """A layer's first use on these images, with what it took in.

    Raises:
        InputError: If it did not run.
    """
    with holding(copies(network)):
        for use in watched(network, batch, kept=name)[0].uses:
            if use.name == name:
                return use
    raise InputError(f"layer {name!r} did not run on these images (in evaluation mode).")


def run_network(network: nn.Module, placed: Batch) -> Any:
    """The network's own output.

    Raises:
        InputError: If the network raises anything.
    """
    try:
        return network(*placed.arguments, **placed.keywords)
    except (ConvRFMError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise InputError(
            f"the network does not run on {placed.description}: it raised {type(error).__name__}: {error}"
        ) from error


def _weights(network: nn.Module) -> Iterator[Tensor]:
    """Every parameter, and what a layer of torch's own has in the place of one."""
    yield from network.parameters()
    for module in network.modules():
        if isinstance(module, LAYERS):
            for held in (vars(module), module._buffers):
                if isinstance(weight := held.get("weight"), Tensor):
                    yield weight
