"""What of a network's output is differentiated: all outputs, a head's, or a loss of each image."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..errors import InputError
from .batches import Batch

Head = Callable[[Any], Tensor]
Loss = Callable[[Tensor, Any], Tensor]
OF_NETWORK = "the network's output"
AROUND = (
    " On the command line, name a package.module:factory of a network around this one whose output is such a tensor."
)


@dataclass(frozen=True)
class Target:
    """From a network's output to outputs `(n, k)`.

    Attributes:
        head: From the network's output to `(n, k)`; None if it is that.
        loss: From outputs and labels to the loss of every image, `(n,)`; None for the outputs themselves.
    """

    head: Head | None = None
    loss: Loss | None = None

    def __call__(self, raw: Any, batch: Batch) -> Tensor:
        """The outputs to differentiate.

        Raises:
            InputError: If they are not a floating tensor `(n, k)`, or there are no labels for the loss.
        """
        outputs = raw if self.head is None else self.head(raw)
        if len(batch) == 1 and isinstance(outputs, Tensor) and outputs.ndim == 1 and len(outputs) > 1:
            outputs = outputs.unsqueeze(0)  # the network drops the axis of a batch of one
        whose = OF_NETWORK if self.head is None else "what head returns"
        if self.loss is None:
            return _checked(outputs, len(batch), whose)
        if batch.labels is None:
            raise InputError("a loss needs labels: pass labels, or a loader of (images, labels).")
        losses = self.loss(outputs, batch.labels)
        if not isinstance(losses, Tensor) or losses.shape[:1] != (len(batch),) or losses.numel() != len(batch):
            got = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
            raise InputError(
                f"loss must give one value for each of {len(batch)} images; got {got}. A loss of torch does with "
                'reduction="none"; of several values of an image take the sum or the mean.'
            )
        return _checked(losses.reshape(-1, 1), len(batch), "what loss returns")


def own_class(outputs: Tensor, labels: Any) -> Tensor:
    """The output of each image's own class.

    Raises:
        InputError: If a label is not the number of an output.
    """
    n, k = outputs.shape
    whole = isinstance(labels, Tensor) and labels.shape == (n,) and not labels.is_floating_point()
    if not whole or not bool(((labels >= 0) & (labels < k)).all()):
        got = sorted(set(labels.tolist())) if whole else getattr(labels, "shape", type(labels).__name__)
        raise InputError(
            f"labels must be the numbers of outputs, 0 to {k - 1}, one for each of {n} images; got {got}. Others need a loss."
        )
    return outputs.gather(1, labels.long().unsqueeze(1))


def _checked(outputs: Any, n: int, whose: str) -> Tensor:
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or outputs.shape[0] != n or outputs.shape[1] == 0:
        got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        head = _made_of(outputs, n, "output")
        such = "" if head is None else f", such as head=lambda output: {head}"
        around = AROUND * (whose == OF_NETWORK)
        raise InputError(
            f"{whose} must be a tensor (n, k) with n = {n} images; got {got}.{around}",
            in_python=f"Pass a head that makes one{such}.",
        )
    if not outputs.is_floating_point():
        raise InputError(f"{whose} must require grad, so it must be floating and real; got {outputs.dtype}.")
    return outputs


def _made_of(output: Any, n: int, words: str) -> str | None:
    """What makes `(n, k)` of an output: of the first of several, by means over positions; None where nothing does."""
    match output:
        case Tensor():
            ways = {1: f"{words}[:, None]", 2: words}
            return ways.get(output.ndim, f"{words}.flatten(2).mean(2)") if output.shape[:1] == (n,) else None
        case Mapping() | tuple() | list() if len(output):
            key = next(iter(output)) if isinstance(output, Mapping) else 0
            return _made_of(output[key], n, f"{words}[{key!r}]")
    return None
