"""What a fitted model has learned as convolutions: the first layers of a network."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import InputError
from ..maths.psd import psd_factor
from ..maths.random_filters import Centering, less_mean, random_filters
from ..maths.windows import Window
from .kept.fitted_layers import FittedLayers
from .settings import check_count, check_seed

NORMALIZED = "a convolution does not normalize patches: fit with patch_normalization=None for to_torch."


def convolutions(fitted: FittedLayers, n_filters: int | None, random_state: int | None) -> nn.Sequential:
    """The fitted layers of random features, then filters of the last layer's metric M.

    Args:
        fitted: the layers.
        n_filters: filters drawn from M, with a ReLU; None for the root of M, without.
        random_state: seed of the draw.

    Raises:
        InputError: if `n_filters` is no number of filters, or `random_state` no seed, and for windows that torch has not.
    """
    check_seed(random_state)
    if any(layer.kernel.window.contrast is not None for layer in fitted.layers):
        raise InputError(NORMALIZED)
    modules: list[nn.Module] = []
    shape = tuple(fitted.x.shape[1:])
    for features in fitted.features:
        modules += _convolution(features.filters, features.window, shape)
        modules += [nn.ReLU()] if features.activation == "relu" else []
        modules += [] if features.mean is None else [Centered(features.centering, features.mean)]
        shape = (len(features.filters), *(features.window.output_length(length) for length in shape[1:]))
    kept, window = fitted.kept.round, fitted.layers[-1].kernel.window
    if n_filters is None:
        return nn.Sequential(*modules, *_convolution(psd_factor(kept.feature_matrix), window, shape))
    check_count("n_filters", n_filters)
    normals = torch.from_numpy(np.random.default_rng(random_state).standard_normal((n_filters, kept.patch_entries)))
    drawn = random_filters(kept.metric, normals.to(kept.coef.device), "relu").to(kept.coef)
    return nn.Sequential(*modules, *_convolution(drawn, window, shape), nn.ReLU())


class Centered(nn.Module):
    """Subtracts from every channel its part of the mean."""

    mean: Tensor

    def __init__(self, centering: Centering, mean: Float[Tensor, " k"]) -> None:
        super().__init__()
        self.centering = centering
        self.register_buffer("mean", mean.clone())

    def forward(self, images: Float[Tensor, "n k rows cols"]) -> Float[Tensor, "n k rows cols"]:
        """The images less the mean."""
        return less_mean(images, self.centering, self.mean)

    def extra_repr(self) -> str:
        """How, where the module is printed."""
        return str(self.centering)


def _convolution(filters: Float[Tensor, "k d"], window: Window, image_shape: Sequence[int]) -> list[nn.Module]:
    """The filters at every position of the window; a module of its own pads where the two sides differ."""
    channels, height, width = image_shape
    (top, bottom), (left, right) = window.margins(height), window.margins(width)
    alike = top == bottom and left == right
    wraps = window.padding == "circular"
    if wraps and (max(top, bottom) > height or max(left, right) > width):
        raise InputError(
            f"a convolution of torch wraps around an image once, and circular windows of {window.size} x {window.size} around "
            f"{height} x {width} do more. Fit with smaller patches for to_torch."
        )
    convolution = nn.Conv2d(
        channels,
        len(filters),
        window.size,
        window.stride,
        padding=(top, left) if alike else 0,
        padding_mode="circular" if wraps and alike else "zeros",
        bias=False,
        device=filters.device,
        dtype=filters.dtype,
    )
    with torch.no_grad():
        convolution.weight.copy_(filters.reshape(convolution.weight.shape))
    if alike:
        return [convolution]
    return [(nn.CircularPad2d if wraps else nn.ZeroPad2d)((left, right, top, bottom)), convolution]
