"""The cpu engine: compiled and fused, float32 and float64 on the CPU."""

import torch

from ...recursion.recursion import Recursion
from .flat.engine import BoundFlat
from .pooled.engine import BoundPooled


class CpuEngine:
    """Sixteen pairs of images at once through the whole recursion."""

    name = "cpu"

    def obstacle(self, recursion: Recursion, device: torch.device, dtype: torch.dtype) -> str | None:  # noqa: D102
        return None if device.type == "cpu" else f"it runs on the CPU, and the images are on {device}."

    def bind(self, recursion: Recursion, budget: int) -> BoundFlat | BoundPooled:  # noqa: D102
        bound = BoundPooled if recursion.architecture.couples_positions else BoundFlat
        return bound(recursion, budget)
