"""The paper's convolutional networks without biases or batch norm: [Conv, ReLU], pooling, one dense readout.

Weights come from torch's default generator.
"""

from collections.abc import Sequence

import torch
from torch import nn

from ..errors import InputError

STAGES = {5: (2, 1, 1), 7: (2, 2, 2), 10: (3, 3, 3)}  # Myrtle: convolutions between poolings
FIRST_DEVIATION, DEVIATION = 5e-3, 1e-2  # of the weights of Fig. 9


def vanilla_cnn(
    image_shape: Sequence[int], n_classes: int, *, width: int = 64, depth: int = 3, patch_size: int = 3
) -> nn.Sequential:
    """The network of `kernels.vanilla`: convolutions without padding, then a dense layer on all positions.

    Args:
        image_shape: `(channels, height, width)`.
        n_classes: Number of outputs.
        width: Channels of every convolution.
        depth: Number of convolutions.
        patch_size: Side of their filters.

    Raises:
        InputError: If the images are too small.

    Example:
        >>> [tuple(p.shape) for p in vanilla_cnn((3, 8, 8), 10, depth=2).parameters()]
        [(64, 3, 3, 3), (64, 64, 3, 3), (10, 1024)]
    """
    return _with_readout(_convolutions(image_shape[0], width, depth, patch_size, "valid"), image_shape, n_classes)


def myrtle_cnn(image_shape: Sequence[int], n_classes: int, *, width: int = 64, depth: int = 5) -> nn.Sequential:
    """The network of `kernels.myrtle`: three stages of same-padded convolutions with five average poolings.

    Args:
        image_shape: `(channels, height, width)`, at least 32 x 32.
        n_classes: Number of outputs.
        width: Channels of every convolution.
        depth: 5, 7 or 10.

    Raises:
        InputError: If there is no such depth, or the images are too small.
    """
    if depth not in STAGES:
        raise InputError(f"myrtle comes in depths {sorted(STAGES)}; got {depth!r}.")
    layers: list[nn.Module] = []
    channels = image_shape[0]
    for count, pools in zip(STAGES[depth], (1, 1, 3), strict=True):
        layers += _convolutions(channels, width, count, 3, "same") + [nn.AvgPool2d(2) for _ in range(pools)]
        channels = width
    return _with_readout(layers, image_shape, n_classes)


def cnn_vec(image_shape: Sequence[int], n_classes: int, *, width: int = 64, patch_size: int = 3) -> nn.Sequential:
    """CNN-VEC of Fig. 9: four zero-padded convolutions, then a dense layer on all positions; small Gaussian weights."""
    layers = _convolutions(image_shape[0], width, 4, patch_size, "same")
    return _with_small_weights(_with_readout(layers, image_shape, n_classes))


def average_pooled_cnn(
    image_shape: Sequence[int], n_classes: int, *, width: int = 64, patch_size: int = 3
) -> nn.Sequential:
    """The average-pooled network of Fig. 9: convolutions in stages of 2, 1 and 1; small Gaussian weights."""
    pools = (nn.AvgPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1))
    return _pooled(image_shape, n_classes, width, patch_size, pools)


def max_pooled_cnn(
    image_shape: Sequence[int], n_classes: int, *, width: int = 64, patch_size: int = 3
) -> nn.Sequential:
    """The max-pooled network of Fig. 9: the same with maxima in the place of averages."""
    pools = (nn.MaxPool2d(2), nn.MaxPool2d(2), nn.AdaptiveMaxPool2d(1))
    return _pooled(image_shape, n_classes, width, patch_size, pools)


def _pooled(
    image_shape: Sequence[int], n_classes: int, width: int, patch_size: int, pools: Sequence[nn.Module]
) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = image_shape[0]
    for count, pool in zip(STAGES[5], pools, strict=True):
        layers += [*_convolutions(channels, width, count, patch_size, "same"), pool]
        channels = width
    return _with_small_weights(_with_readout(layers, image_shape, n_classes))


def _convolutions(channels: int, width: int, count: int, patch_size: int, padding: str) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for entering in (channels, *[width] * (count - 1)):
        layers += [nn.Conv2d(entering, width, patch_size, padding=padding, bias=False), nn.ReLU()]
    return layers


def _with_readout(layers: Sequence[nn.Module], image_shape: Sequence[int], n_classes: int) -> nn.Sequential:
    features = nn.Sequential(*layers, nn.Flatten())
    try:
        with torch.no_grad():
            n_features = features(torch.zeros(1, *image_shape)).shape[1]
    except RuntimeError as error:
        shape = " x ".join(map(str, image_shape))
        raise InputError(f"images of {shape} are too small for this network. Take larger ones. ({error})") from error
    return nn.Sequential(*features, nn.Linear(n_features, n_classes, bias=False))


def _with_small_weights(network: nn.Sequential) -> nn.Sequential:
    for number, weight in enumerate(network.parameters()):
        nn.init.normal_(weight, std=FIRST_DEVIATION if number == 0 else DEVIATION)
    return network
