"""`cnfa.measure`: every layer of a network, in one pass over the images."""

import copy
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import InputError
from . import controls
from .batches import Images, batches
from .capture import Head, as_found
from .estimates import Bootstrap, compare
from .layer_report import Correlations, LayerReport
from .layers import unwrapped
from .layouts import kind_of, patch_shape
from .moments import Moments, effective_ranks
from .report import Report
from .sweep import Sweep

Initial = nn.Module | Mapping[str, Tensor]
DEFAULT_BUDGET = 2**30


def measure(
    network: nn.Module,
    images: Images,
    initial: Initial | None = None,
    layers: Sequence[str] | None = None,
    probes: int | None = None,
    generator: torch.Generator | None = None,
    head: Head | None = None,
    device: torch.device | str | None = None,
    *,
    rotations: int = 8,
    resamples: int = 500,
    parts: int = 64,
    level: float = 0.95,
    half_power: bool = True,
    memory_budget: int = DEFAULT_BUDGET,
    progress: bool = False,
) -> Report:
    """Measure the patch-AGOP of every convolution and linear layer beside the covariance of its filters.

    The network runs as it is, in evaluation mode, and is left exactly as it was found; a lazy network is materialised,
    as its first forward pass always does. Images are independent of each other in evaluation mode, so batches are split
    as the memory budget needs.

    Args:
        network: Any module that is made of `torch.nn` layers; compiled and data-parallel wrappers are looked through.
        images: A tensor or array `(n, ...)`, or an iterable of batches: `(n, ...)`, or `(images, labels)`.
        initial: The network at initialization, or its state dict: adds the controls that need it.
        layers: Names of the layers to measure; None for all.
        probes: None to sum over outputs exactly; s for s random-sign probes: an unbiased AGOP, and correlations
            corrected for the bias of few probes, with standard errors (both by jackknife; they need s of at least 2).
        generator: Where probes, rotations and resamples come from; None for a new one with seed 0.
        head: From the network's output to `(n, k)`; None if that is what the network gives.
        device: Where to measure (a copy of the network, if it lies elsewhere); None for where the network is.
        rotations: Draws of the rotation control; 0 for none.
        resamples: Bootstrap resamples of the images; 0 for no intervals.
        parts: The images are resampled in at most this many parts (one image each if there are fewer).
        level: Coverage of the intervals.
        half_power: Compare with the AGOP to the power 1/2 too, which needs eigenvalues: most of what a report costs
            beyond the passes through the network.
        memory_budget: Bytes for activations, gradients and resampling together. W and G of each layer come on top.
        progress: Show a progress bar.

    Returns:
        A report with the layers in forward order.

    Raises:
        InputError: If the network, its outputs, the images or a layer's name do not fit, or values are not finite (the
            layer is named).

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
        >>> report = measure(network, torch.randn(5, 1, 4, 4))
        >>> [(layer.name, layer.kind, tuple(layer.agop.shape), layer.final) for layer in report.layers]
        [('0', 'Conv2d', (9, 9), False), ('3', 'Linear', (16, 16), True)]
    """
    _check_counts(probes=probes, rotations=rotations, resamples=resamples, parts=parts, memory_budget=memory_budget)
    if resamples == 1:
        raise InputError("resamples must be 0 or at least 2: a spread needs two.")
    if not 0 < level < 1:
        raise InputError(f"level must be strictly between 0 and 1, such as 0.95; got {level}.")
    generator = generator if generator is not None else torch.Generator().manual_seed(0)
    networks = [_placed(unwrapped(network), device)]
    if initial is not None:
        networks.append(_initial_network(networks[0], initial))
    sweeps = [
        Sweep(
            each,
            layers,
            probes=probes,
            generator=generator,
            head=head,
            n_parts=parts if resamples else 0,
            memory_budget=memory_budget,
        )
        for each in networks
    ]
    with ExitStack() as stack:
        for each in networks:
            stack.enter_context(as_found(each))
        for batch in batches(images, progress):
            for sweep in sweeps:
                sweep.add(batch)
    trained = sweeps[0].finish()
    at_start = sweeps[1].finish() if initial is not None else {}
    bootstrap = Bootstrap(resamples, level, generator)
    reports = tuple(
        _layer_report(name, sweeps[0], trained.pop(name), at_start.pop(name, None), rotations, bootstrap, half_power)
        for name in list(trained)
    )
    return Report(reports, type(networks[0]).__name__, sweeps[0].n_images, sweeps[0].n_outputs or 0, probes)


def patch_agop(
    network: nn.Module,
    images: Images,
    layer: str,
    *,
    whole: bool = False,
    probes: int | None = None,
    generator: torch.Generator | None = None,
    head: Head | None = None,
    memory_budget: int = DEFAULT_BUDGET,
) -> Float[Tensor, "*groups d d"]:
    """The patch-AGOP of one layer: mean over images, sum over outputs and positions (Eq. 2 of the paper).

    Args:
        network: As in `measure`, like the other arguments.
        images: Likewise.
        layer: Its name in `network.named_modules()`.
        whole: For grouped convolutions, one matrix over the patch of all groups instead of one block a group.
        probes: Likewise.
        generator: Likewise.
        head: Likewise.
        memory_budget: Likewise.

    Returns:
        `(d, d)`; `(groups, d, d)` for a grouped convolution unless `whole`.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Flatten())
        >>> images = torch.randn(2, 4, 5, 5)
        >>> patch_agop(network, images, "0").shape, patch_agop(network, images, "0", whole=True).shape
        (torch.Size([4, 9, 9]), torch.Size([36, 36]))
    """
    _check_counts(probes=probes, memory_budget=memory_budget)
    generator = generator if generator is not None else torch.Generator().manual_seed(0)
    sweep = Sweep(
        network,
        [layer],
        probes=probes,
        generator=generator,
        head=head,
        n_parts=0,
        memory_budget=memory_budget,
        whole=whole,
    )
    with as_found(sweep.network):
        for batch in batches(images, progress=False):
            sweep.add(batch)
    moments = sweep.finish()[layer]
    agop = moments.filters.mT @ moments.covariance.to(moments.filters) @ moments.filters
    return agop if len(agop) > 1 else agop[0]


def _layer_report(
    name: str,
    sweep: Sweep,
    moments: Moments,
    at_start: Moments | None,
    rotations: int,
    bootstrap: Bootstrap,
    half_power: bool,
) -> LayerReport:
    correlations = Correlations(trained=compare(moments, bootstrap, half_power))
    if rotations and not moments.final:
        turned = controls.rotated(moments, rotations, bootstrap.generator, half_power)
        correlations = replace(correlations, rotated=turned)
    if at_start is not None:
        correlations = replace(
            correlations,
            initial=compare(at_start, bootstrap, half_power),
            initial_cnfm=controls.between_cnfms(at_start.filters, moments.filters),
            change=controls.change(moments, at_start.filters, half_power),
        )
    layer = sweep.layers[name]
    return LayerReport(
        name=name,
        kind=kind_of(layer),
        groups=len(moments.filters),
        patch_shape=patch_shape(layer),
        filters=moments.filters,
        covariance=_stored(moments),
        initial_filters=None if at_start is None else at_start.filters,
        initial_covariance=None if at_start is None else _stored(at_start),
        uses=moments.uses,
        final=moments.final,
        effective_ranks=effective_ranks(moments),
        correlations=correlations,
    )


def _stored(moments: Moments) -> Tensor:
    return moments.covariance.to(torch.promote_types(moments.filters.dtype, torch.float32))


def _placed(network: nn.Module, device: torch.device | str | None) -> nn.Module:
    first = next(network.parameters(), None)
    if device is None or first is None or first.device == torch.device(device):
        return network
    return copy.deepcopy(network).to(device)


def _initial_network(network: nn.Module, initial: Initial) -> nn.Module:
    if isinstance(initial, nn.Module):
        return _placed(unwrapped(initial), next(network.parameters()).device)
    start = copy.deepcopy(network)
    try:
        start.load_state_dict(initial)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"initial is not a state dict of this network: {error}") from error
    return start


def _check_counts(**counts: int | None) -> None:
    least = {"rotations": 0, "resamples": 0}
    for name, count in counts.items():
        if count is not None and count < least.get(name, 1):
            raise InputError(f"{name} must be at least {least.get(name, 1)}; got {count}.")
