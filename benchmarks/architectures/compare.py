"""One architecture: built with random weights, measured, and compared layer by layer with the independent gradient."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from convrfm import cnfa
from convrfm.cnfa.batches import Batch
from convrfm.errors import ConvRFMError

from .independent import agop_products, random_vectors

SIZES = (64, 96, 112, 128, 160, 224, 240, 256, 384)
N_IMAGES = 2
ROUNDING = 1e-12
"""AGOPs smaller than this part of the network's largest are compared with that: they are rounding of an exact zero."""


def outcome(build: Callable[[], nn.Module]) -> dict[str, Any]:
    """What came out for this architecture: counts of layers, the worst error, what was left out."""
    start = time.process_time()
    torch.manual_seed(0)
    network = jittered(build().double().eval())
    try:
        images, arguments = accepted_images(network)
    except ValueError as error:
        return {"failed": str(error)}
    head = head_of(network, arguments(images))
    try:
        report = cnfa.measure(network, images, batch=arguments, head=head, rotations=0, resamples=0, half_power=False)
    except ConvRFMError as error:
        return {"refused": str(error)}
    products, rounds = agop_products(network, arguments(images), head)
    found = compared(report, products)
    return {
        "size": images.shape[-1],
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        **found,
        "skipped": sorted({f"{skipped.kind}: {skipped.reason}" for skipped in report.skipped}),
        "left_out": len(report.skipped),
        "rounds": rounds,
        "seconds": round(time.process_time() - start, 1),
    }


def jittered(network: nn.Module) -> nn.Module:
    """Everything is moved at random: statistics of batch norms, layers that start at zero, and those that start alike."""
    with torch.no_grad():
        for module in network.modules():
            mean, variance = (getattr(module, name, None) for name in ("running_mean", "running_var"))
            if mean is not None and variance is not None:
                mean.normal_(0, 0.1)
                variance.uniform_(0.8, 1.25)
        for parameter in network.parameters():
            constant = parameter.numel() == 1 or float(parameter.std()) < 1e-3
            parameter.add_((0.1 if constant else 0.01) * torch.randn_like(parameter))
    return network


Arguments = Callable[[Tensor], tuple[Tensor, ...]]
ARGUMENTS: tuple[Arguments, ...] = (lambda images: (images,), lambda images: (images, images.flip(-1)))
"""Images, or pairs of an image and its mirror image where two are compared."""


def accepted_images(network: nn.Module) -> tuple[Tensor, Arguments]:
    """The smallest square images, or short clips, that the network takes, and its arguments from them.

    Raises:
        ValueError: If it takes none; with what it says to the largest images.
    """
    generator = torch.Generator().manual_seed(0)
    said: list[str] = []
    for size in SIZES:
        for shape in ((3, size, size), (3, 4, size, size), (3, 16, size, size)):
            images = torch.randn(N_IMAGES, *shape, generator=generator, dtype=torch.float64)
            for arguments in ARGUMENTS:
                try:
                    with torch.no_grad():
                        network(*arguments(images))
                    return images, arguments
                except Exception as error:  # whatever an architecture says to a size that it was not made for
                    said += [str(error)] * (shape == (3, SIZES[-1], SIZES[-1]))
    raise ValueError(
        f"takes no images (n, 3, size, size) in float64, or pairs of them, up to {SIZES[-1]}: {'; '.join(said)}"
    )


def head_of(network: nn.Module, arguments: tuple[Tensor, ...]) -> Callable[[Any], Tensor]:
    """Two random sums of all outputs."""

    def values(raw: Any) -> Tensor:
        return torch.cat([tensor.reshape(len(tensor), -1) for tensor in Batch((_plain(raw),)).tensors], 1)

    with torch.no_grad():
        width = values(network(*arguments)).shape[1]
    mixing = torch.randn(width, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64) / width**0.5
    return lambda raw: values(raw) @ mixing


def _plain(raw: Any) -> Any:
    return dict(raw) if hasattr(raw, "items") else list(raw) if isinstance(raw, tuple | list) else raw


def compared(report: cnfa.Report, products: list[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """Layers of the report against the calls with the same filters, through products with random vectors."""
    pairs: dict[str, tuple[Tensor, Tensor]] = {}
    for layer in report.layers:
        same = [
            product
            for filters, product in products
            if filters.shape == layer.filters.shape and torch.equal(filters, layer.filters)
        ]
        if same:
            found = layer.filters.mT @ (layer.covariance @ (layer.filters @ random_vectors(layer.filters)))
            pairs[layer.name] = (found, torch.stack(same).sum(0))
    largest = max((float(expected.norm()) for _, expected in pairs.values()), default=0.0)
    errors = {
        name: float((found - expected).norm()) / max(float(expected.norm()), ROUNDING * largest)
        for name, (found, expected) in pairs.items()
    }
    return {
        "layers": len(report.layers),
        "compared": len(errors),
        "uncompared": [layer.name for layer in report.layers if layer.name not in errors],
        "worst": max(errors.values(), default=0.0),
        "worst_layer": max(errors, key=lambda name: errors[name], default=""),
    }
