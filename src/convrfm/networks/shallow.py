"""Small convolutional networks with a tanh, for the theorem of one gradient step."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

Later = Literal["constant", "proportional", "random"]


class TanhNetwork(nn.Module):
    """`depth` convolutions of 3 x 3, each followed by tanh, and a linear readout of all positions to one output.

    The first layer is zero, as in Theorem 1 of the paper. With constant later layers and circular padding the network's
    derivative at zero is the same at every patch.

    Args:
        depth: Number of convolutions.
        image_shape: `(channels, height, width)`.
        width: Channels of every convolution.
        later: What follows the first layer. "constant": all weights equal. "proportional": the same, but the readout
            weighs positions by Gaussian numbers, so that derivatives at patches differ in size but not in direction.
            "random": all weights Gaussian, so that they differ in direction too.
        generator: Where random weights come from.
    """

    def __init__(
        self, depth: int, image_shape: Sequence[int], width: int, later: Later, generator: torch.Generator
    ) -> None:
        super().__init__()
        channels, height, breadth = image_shape
        self.first = _convolution(channels, width)
        self.later = nn.ModuleList(_convolution(width, width) for _ in range(depth - 1))
        self.readout = nn.Linear(width * height * breadth, 1, bias=False, dtype=torch.float64)
        nn.init.zeros_(self.first.weight)
        for weight in (*self.later.parameters(), self.readout.weight):
            scale = weight[0].numel() ** -0.5
            noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
            weight.data = scale * (noise if later == "random" else torch.ones_like(noise))
        if later == "proportional":
            positions = torch.randn(height * breadth, generator=generator, dtype=torch.float64)
            self.readout.weight.data *= positions.repeat(width)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1"]:
        """The scalar output of each image."""
        for layer in (self.first, *self.later):
            x = torch.tanh(layer(x))
        return self.readout(x.flatten(1))


def _convolution(in_channels: int, channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, 3, padding=1, padding_mode="circular", bias=False, dtype=torch.float64)
