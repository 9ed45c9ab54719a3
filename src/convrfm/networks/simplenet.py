"""SimpleNet of Hasanpour et al., "Lets keep it simple" (2016): thirteen convolutions with batch norm, and max pooling."""

from collections.abc import Sequence

from torch import nn

from ..errors import InputError

STAGES = ((1, 2, 2, 2), (2, 2, 4), (4, 4), (8, -32, -4), (4,))  # channels over `width`; negative: 1 x 1 filters
PUBLISHED_WIDTH = 64
LEAST_SIDE = 16  # pixels: four poolings by 2


def simplenet(
    image_shape: Sequence[int],
    n_classes: int,
    *,
    width: int = PUBLISHED_WIDTH,
    dropout: float = 0.1,
    conv_deviation: float | None = None,
) -> nn.Sequential:
    """SimpleNet with the small Gaussian weights of the paper's Fig. 8, from torch's default generator.

    Args:
        image_shape: `(channels, height, width)`, at least 16 x 16.
        n_classes: Number of outputs.
        width: Channels of the first convolution, 64 as published; all others have their published multiples of it.
        dropout: Share of channels left out after every pooling.
        conv_deviation: Standard deviation of the filters. By default the paper's 1e-4 times sqrt(64 / width): narrower
            networks have signals of the same size then, which batch norm does not drown in its epsilon.

    Raises:
        InputError: If the images are too small.

    Example:
        >>> f"{sum(p.numel() for p in simplenet((3, 32, 32), 10).parameters()) / 1e6:.1f} million"
        '5.5 million'
    """
    if min(image_shape[1:]) < LEAST_SIDE:
        shape = " x ".join(map(str, image_shape))
        raise InputError(f"simplenet needs images of {LEAST_SIDE} x {LEAST_SIDE} or more; got {shape}.")
    if conv_deviation is None:
        conv_deviation = 1e-4 * (PUBLISHED_WIDTH / width) ** 0.5
    layers: list[nn.Module] = []
    channels = image_shape[0]
    for number, stage in enumerate(STAGES):
        for multiple in stage:
            patch_size, leaving = (3, multiple * width) if multiple > 0 else (1, -multiple * width)
            layers += _convolution(channels, leaving, patch_size, conv_deviation)
            channels = leaving
        pool = nn.MaxPool2d(2) if number < len(STAGES) - 1 else nn.AdaptiveMaxPool2d(1)
        layers += [pool, nn.Dropout2d(dropout)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels, n_classes))


def _convolution(channels: int, leaving: int, patch_size: int, deviation: float) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, leaving, patch_size, padding=patch_size // 2)
    nn.init.normal_(convolution.weight, std=deviation)
    return [convolution, nn.BatchNorm2d(leaving, momentum=0.05), nn.ReLU()]
