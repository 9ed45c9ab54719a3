"""One pass over the data: every layer's second moment of gradients at once.

With delta the gradient of an output with respect to `z[u] = W x[u] + b`, the gradient with respect to the patch `x[u]`,
taken as a variable of its own, is `W^T delta`. So the sum over images, outputs and positions of its outer products is
`W^T G W` with G the sum of `delta delta^T`: no patch is ever unfolded.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import InputError
from .capture import Head, Pass, Use, forward
from .directions import exact_directions, gradients, probe_directions
from .layers import measurable_layers, unwrapped
from .layouts import delta_blocks, filter_blocks, merge_groups
from .moment_sums import MomentSums
from .moments import Moments, final_moments
from .planning import Plan, plan


class Sweep:
    """Sums over the images that are added; the network must be in evaluation mode throughout (`capture.as_found`)."""

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[str] | None,
        *,
        probes: int | None,
        generator: torch.Generator,
        head: Head | None,
        n_parts: int,
        memory_budget: int,
        whole: bool = False,
    ) -> None:
        self.network = unwrapped(network)
        self.layers = measurable_layers(self.network, layers)
        self.named = layers is not None
        self.probes = probes
        self.generator = generator
        self.head = head
        self.n_parts = n_parts
        self.memory_budget = memory_budget
        self.whole = whole
        self.n_images = 0
        self.n_outputs: int | None = None
        self.sums: dict[str, MomentSums] = {}
        self.final: dict[str, Moments] = {}
        self._plan: Plan | None = None

    def add(self, images: Float[Tensor, "n ..."] | Tensor) -> None:
        """Measure one batch, in pieces that fit in the memory budget."""
        if self._plan is None:
            self._plan = plan(self.network, self.layers, images[:1], self.head, self.memory_budget)
        for piece in images.split(self._plan.images_at_a_time(images[:1].numel())):
            self._add_piece(piece)

    def _add_piece(self, images: Tensor) -> None:
        run = forward(self.network, self.layers, images, self.head)
        self._check_outputs(run)
        final = run.final_linear
        if final is not None:
            self.final[final] = final_moments(run.weights[final])
        places = [(name, use) for name, uses in run.uses.items() if name != final for use in uses]
        for name in run.uses:
            if name != final and name not in self.sums:
                self.sums[name] = self._new_sums(name, run.weights[name])
        if places:
            self._differentiate(run, places, images)
        self.n_images += len(images)

    def _new_sums(self, name: str, weight: Tensor) -> MomentSums:
        filters = filter_blocks(self.layers[name], weight)
        if self.whole:
            filters = merge_groups(filters)
        assert self._plan is not None
        return MomentSums(filters, self.probes or 0, self.n_parts, self._plan.parts(self.n_parts))

    def _differentiate(self, run: Pass, places: list[tuple[str, Use]], images: Tensor) -> None:
        assert self._plan is not None
        n = len(images)
        numel = images[:1].numel()
        chunk = self._plan.directions_at_a_time(numel, n, run.outputs.device)
        exact = self.probes is None
        directions = exact_directions(run) if exact else probe_directions(run.outputs, self.probes or 0, self.generator)
        first = 0
        for deltas in gradients(directions, [use.edge for _, use in places], chunk):
            for (name, use), delta in zip(places, deltas, strict=True):
                if delta is not None:
                    self._add_gradients(name, use, delta, n, first)
            first += max((len(delta) for delta in deltas if delta is not None), default=0)
        for name, sums in self.sums.items():
            sums.uses = max(sums.uses, len(run.uses.get(name, ())))

    def _add_gradients(self, name: str, use: Use, delta: Float[Tensor, "chunk ..."], n: int, first: int) -> None:
        blocks = delta_blocks(self.layers[name], delta.flatten(0, 1), use.input_shape)
        if self.whole:
            blocks = blocks.flatten(1, 2).unsqueeze(1)
        blocks = blocks.to(torch.promote_types(blocks.dtype, torch.float32)).unflatten(0, (len(delta), -1))
        mixed = blocks.shape[1] % n > 0
        by_image = blocks.unflatten(1, (1 if mixed else n, -1)).movedim(2, -2).flatten(-2)
        with torch.autocast(blocks.device.type, enabled=False):
            self.sums[name].add(by_image, first, None if mixed else self.n_images)

    def _check_outputs(self, run: Pass) -> None:
        k = run.outputs.shape[1]
        if self.n_outputs not in (None, k):
            raise InputError(f"every batch must give the same number of outputs; got {self.n_outputs}, then {k}.")
        self.n_outputs = k
        if self.named and (idle := [name for name in self.layers if name not in run.uses]):
            raise InputError(f"layers: {', '.join(idle)} did not run on these images (in evaluation mode).")
        if not run.uses:
            raise InputError("none of the network's convolutions and linear layers ran as modules on these images.")

    def finish(self) -> dict[str, Moments]:
        """Every layer that ran, in the order of the first forward pass.

        Raises:
            InputError: If there were no images.
        """
        if self.n_images == 0:
            raise InputError("images must hold at least one image; got none.")
        measured = {name: self.sums.pop(name).finish(self.n_images) for name in list(self.sums)}
        for name, moments in measured.items():
            if not moments.covariance.isfinite().all():
                raise InputError(f"layer {name!r}: its gradient holds NaN or infinity.")
        return {**measured, **self.final}
