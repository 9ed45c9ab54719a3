"""What ran and was not measured, and the reasons there are."""

from collections.abc import Iterable
from dataclasses import dataclass

NO_GRAD = "it runs without gradients: under torch.no_grad(), or inside an autograd function"
IMAGE_DEPENDENT = "its weight depends on the image"
ACTIVATIONS = "both factors depend on the image, so neither is a weight"
IMAGELESS = "neither factor depends on the image: it makes a weight"
CONSTANT = "its weight is a constant, not a parameter"
COMPLEX = "it is complex"
COMPILED = "it multiplies inside compiled code: measure the module that was scripted, traced or exported"
QUANTIZED = "it is quantized: measure the network that it was made from"
FORM = "its form is not a sum over the entries of a patch"
CHANGING = "its weight is not the same at every use"
UNSEEN = (
    "it ran, and no product of its weight was seen: in a thread of its own, or inside a nested or compiled operation"
)
UNREACHED = (
    "no gradient reaches it from the outputs: it does not matter to them, or detach(), torch.no_grad() or a rounding "
    "stands between"
)


@dataclass(frozen=True)
class Skipped:
    """A product that ran and was not measured.

    Attributes:
        name: Of the module, the parameter or the function.
        kind: What ran.
        reason: Why it was not measured.
    """

    name: str
    kind: str
    reason: str


def listed(skipped: Iterable[Skipped]) -> str:
    """What was left out, as the end of a message."""
    lines = [f" {each.name} ({each.kind}) was left out: {each.reason}." for each in skipped]
    return "".join(lines[:5]) + (f" So were {len(lines) - 5} more." if len(lines) > 5 else "")
