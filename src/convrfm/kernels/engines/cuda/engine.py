"""The cuda engine: Triton programs for networks of ReLU's kind, in float32."""

import torch
import triton

from ...recursion.recursion import Recursion
from .runs import walkable
from .strips import BoundStrips

INTERPRETED = triton.knobs.runtime.interpret  # Triton's interpreter runs the programs on the CPU, for tests


class CudaEngine:
    """Triton on a GPU, or on the CPU under Triton's interpreter."""

    name = "cuda"

    def obstacle(self, recursion: Recursion, device: torch.device, dtype: torch.dtype) -> str | None:  # noqa: D102
        if device.type != "cuda" and not INTERPRETED:
            return f"it runs on a GPU, and the images are on {device}."
        if dtype != torch.float32:
            return f"it computes in float32, and the images are {dtype}."
        if not walkable(recursion.architecture):
            return (
                "its layers must be ReLU-type activations and convolutions of stride 1 with zeros or nothing outside, in "
                "turn, and a Flatten readout."
            )
        return None

    def bind(self, recursion: Recursion, budget: int) -> BoundStrips:  # noqa: D102
        return BoundStrips(recursion, budget)
