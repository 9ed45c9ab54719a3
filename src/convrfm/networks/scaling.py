"""How images from 0 to 1 are scaled for a network: kept with it, applied again when it is measured."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Scaling:
    """Every channel less a mean, over a deviation."""

    means: tuple[float, ...]
    deviations: tuple[float, ...]

    def apply(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The scaled images."""
        means, deviations = (torch.tensor(values).reshape(-1, 1, 1).to(x) for values in (self.means, self.deviations))
        return (x - means) / deviations


def paper_scaling(channels: int) -> Scaling:
    """That of Appendix B for images of three channels; others stay as they are."""
    if channels == 3:
        return Scaling((125.3 / 255, 123.0 / 255, 113.9 / 255), (63.0 / 255, 62.1 / 255, 66.7 / 255))
    return Scaling((0.0,) * channels, (1.0,) * channels)
