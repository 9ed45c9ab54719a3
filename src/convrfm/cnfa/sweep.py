"""One pass over the data: every layer's second moment of gradients at once.

With delta the gradient of an output with respect to `z[u] = W x[u] + b`, the gradient with respect to the patch `x[u]`,
taken as a variable of its own, is `W^T delta`. So the sum over images, outputs and positions of its outer products is
`W^T G W` with G the sum of `delta delta^T`: no patch is ever unfolded.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import InputError
from ..maths.precision import full_precision
from .asked import Asked
from .batches import Batch
from .capture import Pass, forward, run_network
from .cutting import Cut
from .directions import Directions, exact_directions, gradients, probe_directions
from .layers import Names, unwrapped
from .moment_sums import MomentSums
from .moments import Moments, final_moments
from .products import Product
from .sampling import Positions
from .skipped import CHANGING, UNREACHED, Skipped, listed
from .state import random_states
from .survey import ImageAxis, Survey, survey
from .target import Target
from .values import copies, holding
from .watching import Use, alike

NOT_INDEPENDENT = (
    "the images are not independent of each other: an image's outputs change with the images beside it, as with batch norm "
    "without running statistics. Batches are measured whole, as they come, and intervals resample batches: with fewer "
    "than eight there are none."
)

RANDOM = (
    "the network draws random numbers in evaluation mode: every pass measures another draw of it, and another seed of torch "
    "gives other numbers. Switch off what draws, or measure several times and compare."
)

NO_IMAGES = (
    "it ran, and never on any image, as an expert that is not chosen: its AGOP is zero and correlates with nothing. Measure it "
    "on images that reach it."
)
VANISHING = (
    "the squares of its gradients vanish in its precision, in part or all: its AGOP is taken as zero and correlates with "
    "nothing. Pass larger outputs, such as head=lambda outputs: 1e10 * outputs, on which no correlation depends."
)


class Sweep:
    """Sums over the images that are added; the network must be as in `state.as_found` throughout.

    Attributes:
        skipped: What ran and was not measured.
        n_images: How many images were added.
        n_outputs: k.
        warnings: What must be known of the network before any number is read.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: str | Sequence[str] | None,
        *,
        probes: int | None,
        generator: torch.Generator,
        target: Target,
        n_parts: int,
        memory_budget: int,
        cut: Cut,
        positions: int | None = None,
    ) -> None:
        self.network = unwrapped(network)
        self.names = Names(self.network)
        self.asked = Asked(layers, self.names)
        self.probes = probes
        self.generator = generator
        self.target = target
        self.n_parts = n_parts
        self.memory_budget = memory_budget
        self.cut = cut
        seed = 0 if positions is None else int(torch.randint(2**62, (), generator=generator, device=generator.device))
        self.positions = None if positions is None else Positions(positions, seed)
        self.n_images = 0
        self._n_resampled = 0
        self.n_outputs: int | None = None
        self._products: dict[str, tuple[str, Product]] = {}
        self.skipped: dict[Skipped, None] = {}
        self.warnings: dict[str, None] = {}
        self._sums: dict[str, MomentSums] = {}
        self._found: set[str] = set()
        self._reached: set[str] = set()
        self._met: set[str] = set()
        self._left_out: set[str] = set()
        self._final: dict[str, Moments] = {}
        self._survey: Survey | None = None
        self._draws = False  # random numbers, so that outputs differ from pass to pass whatever is beside them

    def add(self, batch: Batch) -> None:
        """Measure one batch, in pieces that fit in the memory budget."""
        seen = self._surveyed(batch)
        if not seen.independent:
            self._add_together(batch)
            return
        for piece in batch.split(seen.plan.images_at_a_time(batch.numel) if seen.apart else 1):
            if not self._add_apart(piece, seen):
                self._survey = replace(seen, independent=False)
                if not self._draws:
                    self._warn(NOT_INDEPENDENT, stacklevel=4)
                self._add_together(batch)
                return

    def finish(self) -> dict[str, tuple[Product, Moments]]:
        """Every layer that was measured, in the order of the first forward pass, by the name it was asked for.

        Raises:
            InputError: If there were no images, or a layer that was asked for could not be measured.
        """
        if self.n_images == 0:
            raise InputError("images must hold at least one image; got none.")
        for name in [name for name in self._sums if name not in self._reached]:
            self._leave_out(name, UNREACHED)
        for name in [name for name in self._sums if name not in self._met]:
            self._warn(f"layer {name!r}: {NO_IMAGES}", stacklevel=4)
        self.cut.check_met([*(self._products.keys() - self._final.keys()), *(each.name for each in self.skipped)])
        reasons = {skipped.name: skipped.reason for skipped in self.skipped}
        self.asked.check_measured(self._products, sorted(self._found), reasons)
        if not self._products:
            raise InputError(f"none of the network's products could be measured.{listed(self.skipped)}")
        return {asked: (product, self._finished(name)) for name, (asked, product) in self._products.items()}

    @property
    def resampled(self) -> str:
        """What intervals resample: images, or whole batches of images that depend on each other."""
        return "images" if self._survey is None or self._survey.independent else "batches"

    def _finished(self, name: str) -> Moments:
        if name in self._final:
            return self._final[name]
        moments = self._sums.pop(name).finish(self.n_images, self._n_resampled)
        if not moments.covariance.diagonal(dim1=-2, dim2=-1).isfinite().all():
            raise InputError(f"layer {name!r}: its gradient holds NaN or infinity.")
        limits = torch.finfo(torch.promote_types(moments.filters.dtype, torch.float32))
        if 0 < float(moments.covariance.abs().max()) < limits.tiny / limits.eps:
            self._warn(f"layer {name!r}: {VANISHING}", stacklevel=5)
            return Moments(moments.filters, torch.zeros_like(moments.covariance), uses=moments.uses)
        return moments

    def _surveyed(self, batch: Batch) -> Survey:
        if self._survey is None:
            if any(is_lazy(parameter) for parameter in self.network.parameters()):
                run_network(self.network, batch.take([0]).placed(self.network))
            before = random_states(self.network)
            self._survey = survey(self.network, batch, self.target, self.cut, self.memory_budget)
            self._draws = not all(map(torch.equal, before, random_states(self.network)))
            if self._draws:
                self._warn(RANDOM, stacklevel=5)
            elif not self._survey.independent:
                self._warn(NOT_INDEPENDENT, stacklevel=5)
        return self._survey

    def _warn(self, sentence: str, stacklevel: int) -> None:
        self.warnings[sentence] = None
        warnings.warn(sentence, stacklevel=stacklevel)

    def _add_apart(self, batch: Batch, seen: Survey) -> bool:
        """Independent images: every position of a product is of the image whose outputs it matters to.

        Returns:
            False, with nothing added, if the first images of all show that they depend on each other.
        """
        in_reverse = self._outputs_in_reverse(batch) if self.n_images == 0 else None
        with holding(copies(self.network)):
            return self._differentiated_apart(batch, seen, in_reverse)

    def _differentiated_apart(self, batch: Batch, seen: Survey, in_reverse: Tensor | None) -> bool:
        n = len(batch)
        run, wanted = self._run(batch)
        if in_reverse is not None and not seen.agrees(run, in_reverse):
            return False
        if n > 1 and not seen.fits(run.uses, n):
            return all([self._add_apart(image, seen) for image in batch.split(1)])
        axes = dict(zip(map(id, run.uses), seen.axes, strict=True)) if n > 1 else {}
        places = [(use, axes.get(id(use))) for use in wanted]
        chunk = seen.plan.directions_at_a_time(batch.numel, n, run.outputs.device)
        self._differentiate(places, self._directions(run), n, chunk)
        self._count(run, n)
        self._n_resampled += n
        return True

    def _outputs_in_reverse(self, batch: Batch) -> Tensor:
        """Of the images from the last to the first, which are others where an image sees those before it, or after it."""
        with holding(copies(self.network)):
            return forward(self.network, batch.take([*reversed(range(len(batch)))]), self.target).outputs.detach()

    def _add_together(self, batch: Batch) -> None:
        """Images that depend on each other: the outputs of one image at a time, with respect to all positions."""
        with holding(copies(self.network)):
            run, wanted = self._run(batch)
            directions = self._directions(run)
            for image in range(len(batch)):
                self._differentiate([(use, None) for use in wanted], directions.of_image(image), 1, 1)
                self._count(run, 1)
        self._n_resampled += 1

    def _run(self, batch: Batch) -> tuple[Pass, list[Use]]:
        """A forward pass, and the uses in it that are to be differentiated."""
        run = forward(self.network, batch, self.target)
        k = run.outputs.shape[1]
        if self.n_outputs not in (None, k):
            raise InputError(f"every batch must give the same number of outputs; got {self.n_outputs}, then {k}.")
        self.n_outputs = k
        self._found |= {use.name for use in run.uses} | {skipped.name for skipped in run.skipped}
        self.asked.check_known(sorted(self._found))
        self.skipped |= dict.fromkeys(each for each in run.skipped if each.name in self.asked)
        return run, [use for use in run.uses if self._is_wanted(use, run)]

    def _is_wanted(self, use: Use, run: Pass) -> bool:
        if use.name in self._left_out or use.name not in self.asked:
            return False
        if run.final is not None and use.name == run.final.name:
            self._final[use.name] = final_moments(use.weight.clone())
            self._products[use.name] = (self.asked.called(use.name), use.product)
            return False
        filters = self.cut.filters(use.name, use.product.filters(use.weight))
        if use.name not in self._sums:
            assert self._survey is not None
            self._products[use.name] = (self.asked.called(use.name), use.product)
            parts = self._survey.plan.parts(self.n_parts)
            self._sums[use.name] = MomentSums(filters.clone(), self.probes or 0, self.n_parts, parts)
        elif not alike(filters, self._sums[use.name].filters):
            self._leave_out(use.name, CHANGING)
            return False
        return True

    def _leave_out(self, name: str, reason: str) -> None:
        self._left_out.add(name)
        del self._sums[name]
        self.skipped[Skipped(name, self._products.pop(name)[1].kind, reason)] = None

    def _directions(self, run: Pass) -> Directions:
        if self.probes is None:
            return exact_directions(run)
        return probe_directions(run.outputs, self.probes, self.generator)

    def _differentiate(
        self, places: Sequence[tuple[Use, ImageAxis | None]], directions: Directions, n: int, chunk: int
    ) -> None:
        first = 0
        uses = [use for use, _ in places]
        for deltas in gradients(directions, uses, chunk) if places else ():
            for (use, axis), delta in zip(places, deltas, strict=True):
                if delta is not None and use.name in self._sums:
                    by_image = delta.unsqueeze(1) if axis is None else axis.split(delta, n)
                    self._add_gradients(use, by_image, first)
            first += max((len(delta) for delta in deltas if delta is not None), default=0)

    def _add_gradients(self, use: Use, deltas: Float[Tensor, "chunk n ..."], first: int) -> None:
        self._reached.add(use.name)
        if deltas.numel() == 0:  # no image took this way through the network
            return
        self._met.add(use.name)
        blocks = self.cut.gradients(use.name, use.product.blocks(deltas.flatten(0, 1)))
        blocks = blocks.to(torch.promote_types(blocks.dtype, torch.float32)).unflatten(0, deltas.shape[:2])
        blocks = blocks if self.positions is None else self.positions.sampled(blocks)
        with full_precision():
            self._sums[use.name].add(blocks, first, self._n_resampled)

    def _count(self, run: Pass, n: int) -> None:
        self.n_images += n
        for name, uses in Counter(use.name for use in run.uses).items():
            if name in self._sums:
                self._sums[name].uses = max(self._sums[name].uses, uses)
