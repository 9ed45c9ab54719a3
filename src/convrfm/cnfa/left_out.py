"""What runs and is not measured is noted as it runs. It knows nothing of the graph, so that no pass outlives its end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from .layers import Names
from .provenance import IMAGES, WEIGHTS
from .skipped import ACTIVATIONS, COMPILED, IMAGELESS, QUANTIZED, Skipped


class LeftOut:
    """Notes products that are not measured, under the names of what multiplies them.

    Args:
        names: Of the network.

    Attributes:
        skipped: What was noted, in its order.
    """

    def __init__(self, names: Names) -> None:
        self.skipped: dict[Skipped, None] = {}
        self._names = names
        self._calling = self._form = ""

    @contextmanager
    def within(self, function: str, form: str = "") -> Iterator[None]:
        """This function of torch's runs, which is not read as a product, in this form."""
        outer = self._calling, self._form
        self._calling, self._form = function, form
        try:
            yield
        finally:
            self._calling, self._form = outer

    def product(self, function: str, weight: Tensor, reason: str) -> None:
        """A product that was read, and why it is not measured."""
        nameless = reason in (ACTIVATIONS, IMAGELESS)
        name = self._names.running(function) if nameless else self._names.of(weight, function)
        self.skipped[Skipped(name, function, reason)] = None

    def overlooked(self, operands: Sequence[tuple[Tensor, int]], packed: bool) -> None:
        """A product that was not read.

        Args:
            operands: Each with what it depends on.
            packed: Whether there are weights that are no tensors.
        """
        function = self._calling or "compiled code"
        inside = f"it multiplies inside {function}{self._form}" if self._calling else COMPILED
        vectors = all(operand.ndim == 1 for operand, _ in operands)
        weights = [
            operand
            for operand, origin in operands
            if origin & (WEIGHTS | IMAGES) == WEIGHTS and (operand.ndim > 1 or vectors)
        ]
        for weight in weights:
            self.skipped[Skipped(self._names.of(weight, function), function, inside)] = None
        if not weights:
            reason = ACTIVATIONS if any(origin & IMAGES for _, origin in operands) else IMAGELESS
            self.skipped[Skipped(self._names.running(function), function, QUANTIZED if packed else reason)] = None
