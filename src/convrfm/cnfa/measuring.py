"""`cnfa.measure`: every layer of a network, in one pass over the images."""

import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from math import prod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..announcements import announce
from ..errors import InputError
from ..kernels.devices import chosen_device
from ..kernels.integers import natural_number, positive_integer
from ..maths.precision import full_precision
from ..quantities import duration
from ..storage.digests import digest
from . import values
from .asked import ANY
from .batches import ImageSource, ToArguments, batches, number_of_batches
from .correlating import Figures, correlate
from .cutting import Cut
from .layer_report import LayerReport, patch_matrix
from .layers import unwrapped
from .moments import Moments
from .products import Product
from .report import Report
from .rotations import Rotations
from .spread import Bootstrap, check_level
from .state import as_found
from .sweep import Sweep
from .target import Head, Loss, Target, own_class

Initial = nn.Module | Mapping[str, Any]
Measured = tuple[Product, Moments]
DEFAULT_BUDGET = 2**30
NAMES_SHOWN = 2
TIMED = 2  # the batch that tells how long the others take: the first has what comes once
LONG_SECONDS = 10.0  # of the others, which are told
SAME_WEIGHTS = (
    "initial has the network's own weights in every layer that was measured: what stands beside them says nothing of training. "
    "A state dict is trained with its network unless it is a copy: keep copy.deepcopy(network.state_dict()) before training."
)


def measure(
    network: nn.Module,
    images: ImageSource,
    *,
    initial: Initial | None = None,
    layers: str | Sequence[str] | None = None,
    probes: int | None = None,
    positions: int | None = None,
    generator: torch.Generator | None = None,
    head: Head | None = None,
    device: torch.device | str | None = None,
    labels: Any = None,
    loss: Loss | None = None,
    batch: ToArguments | None = None,
    whole: bool = False,
    blocks: Mapping[str, int] | None = None,
    rotations: int = 8,
    resamples: int = 500,
    parts: int = 64,
    level: float = 0.95,
    half_power: bool = True,
    keep_probes: bool = False,
    memory_budget: int = DEFAULT_BUDGET,
    progress: bool = False,
) -> Report:
    """Measure the patch-AGOP of every product with a weight beside the covariance of its filters.

    Convolutions and matrix products are seen as they are carried out, as modules or as functional calls; W is the weight
    that was multiplied. What ran and could not be measured is in `report.skipped`, each with its reason, and what was warned
    of in `report.warnings`. The network runs as it is, in evaluation mode, and is left exactly as it was found; a lazy network
    is materialised, as its first forward pass always does. Batches are split as the memory budget needs.

    Args:
        network: Any module that is made of `torch.nn` layers; compiled, averaged and data-parallel wrappers are looked through.
        images: A tensor or array `(n, ...)`, or an iterable of batches: `(n, ...)`, or `(images, labels)`, or what `batch`
            takes.
        initial: The network at initialization, or a copy of its state dict, alone or in a checkpoint: adds the controls that
            need it.
        layers: Names of the layers to measure, or patterns of names ("layer3.*"): one, or several; None for all.
        probes: None to sum over outputs exactly; s for s random-sign probes: an unbiased AGOP, and correlations
            corrected for the bias of few probes, with standard errors (both by jackknife; they need s of at least 2).
        positions: None for all positions; m for at most m of every product's result, drawn at random for each image and
            each probe or output: an unbiased AGOP at less cost where maps are huge. Intervals and standard errors cover
            what this adds.
        generator: Where probes, positions, rotations and resamples come from; None for a new one with seed 0.
        head: From the network's output to `(n, k)`; None if that is what the network gives.
        device: Where to measure; "auto" for a GPU where there is one, None for where the network is.
        labels: Labels of images given at once, or one for all of them; None to take those of a loader's pairs.
        loss: From outputs `(n, k)` and labels to one value an image, such as a cross entropy without reduction, or
            `lambda outputs, labels: outputs.gather(1, labels[:, None])` for the output of each image's own class. None with
            labels is the latter; None without is all outputs.
        batch: From what the loader gives to the network's arguments: a tensor, a tuple of arguments, or a dict of them by
            name. The first tensor says how many images there are; others with as many entries are split with it.
        whole: One block for all groups of a layer, W block-diagonal, in the place of one a group.
        blocks: Into how many blocks of equal size the rows of W are divided, by name or pattern of names: `{"*.qkv": 3}`
            for queries, keys and values, or 3 times as many as there are heads. Each has its own AGOP. Not with `whole`.
        rotations: Draws of the rotation control, shared by layers of one shape; 0 for none.
        resamples: Bootstrap resamples of the images; 0 for no intervals.
        parts: The images are resampled in at most this many parts (one image each if there are fewer); of fewer than eight
            there are no intervals.
        level: Coverage of the intervals.
        half_power: Compare with the AGOP to the power 1/2 too, which needs eigenvalues: most of what a report costs
            beyond the passes through the network.
        keep_probes: Keep G of each probe in the report, which is as many times as large and can then be merged with others.
        memory_budget: Bytes for activations, gradients and resampling together; one image always runs, at first beside a
            second. On top come a copy of the weights, W and G of each layer (G in float64 too), and once all images have
            passed, the controls of one layer at a time: rotations of up to 2^24 numbers, and a few matrices like W and G.
        progress: Show a progress bar, and after the second batch say how long the others take, where that is long.

    Returns:
        A report with the layers in forward order.

    Raises:
        InputError: If the network, its outputs, the images, the device, a layer's name or a pattern do not fit, or values
            are not finite (the layer is named).

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
        >>> report = measure(network, torch.randn(5, 1, 4, 4))
        >>> [(layer.name, layer.kind, tuple(layer.agop.shape), layer.final) for layer in report.layers]
        [('0', 'Conv2d', (9, 9), False), ('3', 'Linear', (16, 16), True)]
    """
    probes, positions = _counted("probes", probes), _counted("positions", positions)
    rotations, resamples = natural_number("rotations", rotations), natural_number("resamples", resamples)
    parts, memory_budget = positive_integer("parts", parts), positive_integer("memory_budget", memory_budget)
    if resamples == 1:
        raise InputError("resamples must be 0 or at least 2: a spread needs two.")
    check_level(level)
    if keep_probes and probes is None:
        raise InputError("keep_probes keeps what each probe gives: it needs probes, such as probes=4.")
    generator = generator if generator is not None else torch.Generator().manual_seed(0)
    network, draws = unwrapped(network), digest({}, {"generator": generator.get_state()})
    told: dict[str, None] = {}
    options: dict[str, Any] = {
        "probes": probes,
        "positions": positions,
        "generator": generator,
        "target": Target(head, own_class if loss is None and labels is not None else loss),
        "n_parts": parts if resamples else 0,
        "memory_budget": memory_budget,
        "cut": Cut(whole, blocks),
    }
    with ExitStack() as stack:
        _settle(network, device, stack)
        sweep, at_first = Sweep(network, layers, **options), None
        initially: Callable[[], AbstractContextManager[None]] = nullcontext
        if isinstance(initial, nn.Module):
            first = unwrapped(initial)
            _settle(first, device or device_of(network), stack)
            at_first = Sweep(first, layers, **options)
        elif initial is not None:
            initially = partial(values.holding, values.loaded(network, initial))
            at_first = Sweep(network, layers, **options)
        last = time.perf_counter()
        for done, each in enumerate(batches(images, labels=labels, to_arguments=batch, progress=progress), 1):
            sweep.add(each)
            if at_first is not None:
                with initially():
                    at_first.add(each)
            took, last = time.perf_counter() - last, time.perf_counter()
            if progress and done == TIMED:
                _tell_the_rest(took, number_of_batches(images))
    trained = sweep.finish()
    at_start = {} if at_first is None else at_first.finish()
    if at_first is not None:
        told = dict.fromkeys(_of_initial(trained, at_start))
        for sentence in told:
            warnings.warn(sentence, stacklevel=2)
    spread, turns = Bootstrap(resamples, level, generator), Rotations(rotations, generator)

    @full_precision()
    def layer_report(name: str) -> LayerReport:
        product, moments = trained.pop(name)
        initial_moments = at_start.pop(name)[1] if name in at_start else None
        if initial_moments is not None and initial_moments.filters.shape != moments.filters.shape:
            own, other = (tuple(each.filters.shape) for each in (moments, initial_moments))
            raise InputError(
                f"initial must be this network with other weights: filters of {name} (groups, filters, entries) are {own} in "
                f"the network and {other} in initial."
            )
        figures = correlate(moments, initial_moments, turns, spread, half_power)
        return _layer_report(name, product, moments, initial_moments, figures, keep_probes)

    return Report(
        layers=tuple(map(layer_report, list(trained))),
        network=type(network).__name__,
        n_images=sweep.n_images,
        n_outputs=sweep.n_outputs or 0,
        probes=probes,
        skipped=tuple(sweep.skipped),
        positions=positions,
        draws=(draws,),
        resampled=sweep.resampled,
        warnings=tuple(told | sweep.warnings | ({} if at_first is None else at_first.warnings)),
    )


def patch_agop(
    network: nn.Module,
    images: ImageSource,
    layer: str,
    *,
    whole: bool = False,
    probes: int | None = None,
    positions: int | None = None,
    generator: torch.Generator | None = None,
    head: Head | None = None,
    device: torch.device | str | None = None,
    labels: Any = None,
    loss: Loss | None = None,
    batch: ToArguments | None = None,
    memory_budget: int = DEFAULT_BUDGET,
) -> Float[Tensor, "*groups d d"]:
    """The patch-AGOP of one layer: mean over images, sum over outputs and positions (Eq. 2 of the paper).

    Args:
        network: As in `measure`, like the other arguments.
        images: Likewise.
        layer: Its name in `measure`.
        whole: For grouped convolutions, one matrix over the patch of all groups instead of one block a group.
        probes: Likewise.
        positions: Likewise.
        generator: Likewise.
        head: Likewise.
        device: Likewise.
        labels: Likewise.
        loss: Likewise.
        batch: Likewise.
        memory_budget: Likewise.

    Returns:
        `(d, d)`; `(groups, d, d)` for a grouped convolution unless `whole`. In float32 at least.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Flatten())
        >>> images = torch.randn(2, 4, 5, 5)
        >>> patch_agop(network, images, "0").shape, patch_agop(network, images, "0", whole=True).shape
        (torch.Size([4, 9, 9]), torch.Size([36, 36]))
    """
    probes, positions = _counted("probes", probes), _counted("positions", positions)
    memory_budget = positive_integer("memory_budget", memory_budget)
    if ANY in layer:
        raise InputError(
            f"layer must be the name of one layer; got the pattern {layer!r}. measure(layers=...) takes it."
        )
    generator = generator if generator is not None else torch.Generator().manual_seed(0)
    network = unwrapped(network)
    with ExitStack() as stack:
        _settle(network, device, stack)
        sweep = Sweep(
            network,
            [layer],
            probes=probes,
            positions=positions,
            generator=generator,
            target=Target(head, own_class if loss is None and labels is not None else loss),
            n_parts=0,
            memory_budget=memory_budget,
            cut=Cut(whole),
        )
        for each in batches(images, labels=labels, to_arguments=batch):
            sweep.add(each)
    _, moments = sweep.finish()[layer]
    return patch_matrix(moments.filters, moments.covariance)


def _tell_the_rest(took: float, n_batches: int | None) -> None:
    """How long the other batches take, if each takes as long as this one, where that is long."""
    if n_batches is not None and (left := (n_batches - TIMED) * took) > LONG_SECONDS:
        announce(
            f"after {TIMED} of {n_batches} batches: about {duration(left)} left (estimated), and the controls of every layer."
        )


def _layer_report(
    name: str,
    product: Product,
    moments: Moments,
    at_start: Moments | None,
    figures: Figures,
    keep_probes: bool,
) -> LayerReport:
    return LayerReport(
        name=name,
        kind=product.kind,
        groups=len(moments.filters),
        patch_shape=_patch_shape(product, moments),
        filters=moments.filters,
        covariance=_stored(moments),
        initial_filters=None if at_start is None else at_start.filters,
        initial_covariance=None if at_start is None else _stored(at_start),
        uses=moments.uses,
        final=moments.final,
        effective_ranks=figures.effective_ranks,
        correlations=figures.correlations,
        probes=moments.of_probes() if keep_probes else None,
        initial_probes=at_start.of_probes() if keep_probes and at_start is not None else None,
    )


def _of_initial(trained: Mapping[str, Measured], at_start: Mapping[str, Measured]) -> Iterator[str]:
    """What to say of an initial network that lacks layers, or is the network as it stands.

    Raises:
        InputError: If it has none of the layers.
    """
    missing = [name for name in trained if name not in at_start]
    if len(missing) == len(trained):
        raise InputError(
            f"initial must be this network with other weights: layers of the network are {_some(trained)}, those of initial "
            f"{_some(at_start)}. Build it as the network was built, or pass its state dict."
        )
    if missing:
        yield f"initial has no layer {_some(missing)}: only the others stand beside the initial network."
    pairs = [(trained[name][1].filters, at_start[name][1].filters) for name in trained if name in at_start]
    if all(own.shape == other.shape and bool((own == other).all()) for own, other in pairs):
        yield SAME_WEIGHTS


def _some(names: Collection[str]) -> str:
    return ", ".join([*names][:NAMES_SHOWN]) + ", ..." * (len(names) > NAMES_SHOWN)


def _patch_shape(product: Product, moments: Moments) -> tuple[int, ...]:
    """One group's; flat where all groups are one block."""
    d = moments.filters.shape[-1]
    return product.patch_shape if d == prod(product.patch_shape) else (d,)


def _stored(moments: Moments) -> Tensor:
    return moments.covariance.to(torch.promote_types(moments.filters.dtype, torch.float32))


def _settle(network: nn.Module, device: torch.device | str | None, stack: ExitStack) -> None:
    """Where it is to be measured, ready to be measured, until the stack is closed."""
    if device is not None and device_of(network) != (chosen := chosen_device(device)):
        stack.enter_context(values.holding(values.moved(network, chosen)))
    stack.enter_context(as_found(network))


def device_of(network: nn.Module) -> torch.device | None:
    """Where its first parameter is; None without parameters."""
    first = next(network.parameters(), None)
    return None if first is None else first.device


def _counted(name: str, count: int | None) -> int | None:
    return None if count is None else positive_integer(name, count)
