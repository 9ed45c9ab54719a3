"""The cpu engine: compiled and fused, float32 and float64 on the CPU."""

from typing import Any

import torch
from typing_extensions import override

from ...recursion.recursion import Recursion
from ..protocol import BoundEngine, Engine
from .duals import is_compiled
from .flat.engine import BoundFlat
from .pooled.engine import BoundPooled


class CpuEngine(Engine):
    """Sixteen pairs of images at once through the whole recursion."""

    name = "cpu"

    @override
    def obstacle(self, recursion: Recursion, device: torch.device, dtype: torch.dtype) -> str | None:
        if device.type != "cpu":
            return f"it runs on the CPU, and the images are on {device}."
        missing = [str(a) for a in recursion.architecture.activations if not is_compiled(a)]
        return f"it has no formulas for {missing[0]}." if missing else None

    @override
    def bind(self, recursion: Recursion, budget: int) -> BoundEngine[Any]:
        if recursion.architecture.couples_positions:
            return BoundPooled(recursion, budget)
        return BoundFlat(recursion, budget)
