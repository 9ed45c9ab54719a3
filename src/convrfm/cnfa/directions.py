"""In which directions of the outputs to differentiate: every output, a factor of the last layer, or random signs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import GradientEdge

from ..errors import InputError
from .capture import Pass
from .watching import Use

LARGEST_SCALE, SCALE_STEP = 2**15, 2**5  # powers of two, so that nothing is rounded


@dataclass(frozen=True)
class Directions:
    """Gradients of `<rows[i], source>` for every i; the sum of their outer products is the one over outputs.

    Attributes:
        source: `(n, width)`, what is differentiated.
        rows: `(count, n or 1, width)`.
    """

    source: Tensor
    rows: Float[Tensor, "count n_or_1 width"]

    def of_image(self, image: int) -> "Directions":
        """The same for the outputs of one image alone."""
        alone = torch.zeros(len(self.source), 1, dtype=self.rows.dtype, device=self.rows.device)
        alone[image] = 1
        return Directions(self.source, self.rows * alone)


def exact_directions(run: Pass) -> Directions:
    """As many directions as outputs; fewer where the last product is linear with fewer inputs than outputs.

    With `f = W h + b` the sum over outputs is `J^T W^T W J`, J the Jacobian of h. The triangular factor R of W = Q R
    has `R^T R = W^T W` and only as many rows as h is wide.
    """
    outputs, final = run.outputs, run.final
    if final is not None and final.entered.requires_grad and final.weight.shape[1] < final.weight.shape[0]:
        factor = torch.linalg.qr(final.weight.to(torch.promote_types(final.weight.dtype, torch.float32)), mode="r").R
        return Directions(final.entered, factor.to(final.entered).unsqueeze(1))
    return Directions(outputs, torch.eye(outputs.shape[1], dtype=outputs.dtype, device=outputs.device).unsqueeze(1))


def probe_directions(outputs: Tensor, probes: int, generator: torch.Generator) -> Directions:
    """Independent random signs for every probe, image and output: `E[(J^T v)(J^T v)^T] = J^T J`.

    They are drawn image by image, so that they do not depend on how many images are taken at a time.
    """
    shape = (probes, outputs.shape[1])
    drawn = [torch.randint(0, 2, shape, generator=generator, device=generator.device) for _ in range(len(outputs))]
    return Directions(outputs, (2 * torch.stack(drawn, 1) - 1).to(outputs))


def gradients(
    directions: Directions, uses: Sequence[Use], chunk: int
) -> Iterator[list[Float[Tensor, "chunk ..."] | None]]:
    """Gradients at every product's result, `chunk` directions at a time; None where it does not matter.

    A chunk of several is one vectorised backward pass; where an operation cannot be vectorised (a custom autograd
    function without a rule), its directions are taken one by one instead. Through float16 they go as large as fits, so
    that small gradients are not lost, and come back in float32.

    Raises:
        InputError: If the network raises anything on the way back.
    """
    source = directions.source
    rows = directions.rows.expand(-1, source.shape[0], -1)
    edges = [use.edge for use in uses]
    scale = LARGEST_SCALE if any(use.dtype == torch.float16 for use in uses) else 1
    start = 0
    while start < len(rows):
        try:
            found = _differentiated(source, edges, rows[start : start + chunk] * scale)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            if chunk == 1:
                raise InputError(
                    f"the network cannot be differentiated: its backward pass raised {type(error).__name__}: {error}"
                ) from error
            chunk = 1
            continue
        if scale > 1:
            if not all(g is None or g.isfinite().all() for g in found):
                scale //= SCALE_STEP
                continue
            found = [None if g is None else g.to(torch.promote_types(g.dtype, torch.float32)) / scale for g in found]
        yield found
        start += chunk


def _differentiated(source: Tensor, edges: Sequence[GradientEdge], rows: Tensor) -> list[Tensor | None]:
    if len(rows) > 1:
        found = torch.autograd.grad(source, edges, rows, retain_graph=True, is_grads_batched=True, allow_unused=True)
        return list(found)
    single = torch.autograd.grad(source, edges, rows[0], retain_graph=True, allow_unused=True)
    return [None if g is None else g.unsqueeze(0) for g in single]
