"""The cuda engine: Triton programs in float32, several layers at once where a network allows it."""

import torch
import triton
from typing_extensions import override

from ...recursion.recursion import Recursion
from ..protocol import Engine
from .layers import BoundLayers
from .runs import walkable
from .strips import BoundStrips
from .tuning import cuts_here

INTERPRETED = triton.knobs.runtime.interpret  # Triton's interpreter runs the programs on the CPU, for tests


class CudaEngine(Engine):
    """Triton on a GPU, or on the CPU under Triton's interpreter."""

    name = "cuda"

    @override
    def obstacle(self, recursion: Recursion, device: torch.device, dtype: torch.dtype) -> str | None:
        if device.type != "cuda" and not INTERPRETED:
            return f"it runs on a GPU, and the images are on {device}."
        if dtype != torch.float32:
            return f"it computes in float32, and the images are {dtype}."
        return None

    @override
    def bind(self, recursion: Recursion, budget: int) -> BoundStrips | BoundLayers:
        if walkable(recursion.architecture):
            return BoundStrips(recursion, budget, cuts_here())
        return BoundLayers(recursion, budget)
