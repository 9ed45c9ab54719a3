"""The cuda engine: one Triton program a layer, for ReLU-type networks without pooling, in float32."""

from dataclasses import dataclass

import torch
import triton
from jaxtyping import Float
from torch import Tensor

from ....maths.dual_activations import PiecewiseLinear
from ....maths.windows import Window
from ...layers import Conv
from ...recursion.recursion import (
    Embedding,
    Recursion,
    embed,
    first_covariance,
    own_first_covariance,
    own_kernel,
    pull_back_variances,
)
from ...tiling import tiles
from ..protocol import Gradient, Patches
from .taps import transposed_taps, window_taps
from .triton_kernels import BLOCK, dual_then_mean, dual_then_window, pull_back_dual

INTERPRETED = triton.knobs.runtime.interpret  # Triton's interpreter runs the programs on the CPU, for tests
COINCIDENT = 8 * torch.finfo(torch.float32).eps


class CudaEngine:
    """Triton on a GPU, or on the CPU under Triton's interpreter."""

    name = "cuda"

    def obstacle(self, recursion: Recursion, device: torch.device, dtype: torch.dtype) -> str | None:  # noqa: D102
        architecture = recursion.architecture
        alternate = [
            isinstance(layer, Conv if i % 2 else PiecewiseLinear) for i, layer in enumerate(architecture.hidden)
        ]
        if device.type != "cuda" and not INTERPRETED:
            return f"it runs on a GPU, and the images are on {device}."
        if dtype != torch.float32:
            return f"it computes in float32, and the images are {dtype}."
        if architecture.couples_positions:
            return "pooling and GlobalAvgPool couple positions, which it does not compute."
        if len(alternate) % 2 == 0 or not all(alternate):
            return "its layers must be convolutions and ReLU-type activations in turn."
        return None

    def bind(self, recursion: Recursion, budget: int) -> "BoundCuda":  # noqa: D102
        return BoundCuda(recursion, budget)


@dataclass(frozen=True)
class BoundCuda:
    """The cuda engine for one recursion."""

    recursion: Recursion
    budget: int

    def within(self, budget: int) -> "BoundCuda":  # noqa: D102
        return BoundCuda(self.recursion, budget)

    def embed(  # noqa: D102
        self, images: Tensor, factor: Tensor | None, *, patches: Patches
    ) -> Embedding:
        return embed(self.recursion, images, factor, with_patches=patches != "unused")

    def diagonal(self, x: Embedding) -> Float[Tensor, " n"]:  # noqa: D102
        return own_kernel(self.recursion, own_first_covariance(self.recursion, x))

    def kernel(self, x: Embedding, z: Embedding) -> Float[Tensor, "n_x n_z"]:  # noqa: D102
        out = x.images.new_empty(len(x.images), len(z.images))
        stages = _stages(self.recursion, x.images)
        pairs = max(1, self.budget // (16 * max(stage.positions for stage in stages)))
        for rows, cols in tiles(len(x.images), len(z.images), pairs, symmetric=z is x):
            out[rows, cols] = _Tile(self.recursion, stages, x.part(rows), z.part(cols)).kernel()
        return out

    def add_gradient(  # noqa: D102
        self, x: Embedding, z: Embedding, dual_coef: Float[Tensor, "n_z k"], total: Gradient
    ) -> None:
        stages = _stages(self.recursion, x.images)
        pairs = max(1, self.budget // (32 * sum(stage.positions for stage in stages)))
        for rows, cols in tiles(len(x.images), len(z.images), pairs, symmetric=False):
            part = z.part(cols)
            S_bar, q_bars = _Tile(self.recursion, stages, x.part(rows), part).adjoints()
            weights = S_bar.permute(1, 2, 0)
            total.patches[:, rows] += self.recursion.geometry.contract(weights, part.contracted, dual_coef[cols])
            for sum_of_bars, q_bar in zip(total.variances, q_bars, strict=True):
                bars = (q_bar @ dual_coef[cols]).permute(1, 2, 0)
                sum_of_bars[rows] += bars.unflatten(2, sum_of_bars.shape[2:])

    def add_own_gradient(self, x: Embedding, total: Gradient) -> None:  # noqa: D102
        pull_back_variances(self.recursion, x, total.variances, total.patches)

    def embeds_patches(self, factor: Float[Tensor, "r d"] | None) -> bool:  # noqa: D102
        return True

    def own_entries(self, grid: tuple[int, int], outputs: int) -> int:  # noqa: D102
        return 0


@dataclass(frozen=True)
class _Stage:
    """An activation, the grid in front of it, and the convolution after it (None: the readout)."""

    activation: PiecewiseLinear
    positions: int
    conv: Conv | None
    taps: Tensor | None
    taps_back: Tensor | None


def _stages(recursion: Recursion, images: Tensor) -> list[_Stage]:
    architecture = recursion.architecture
    grids = architecture.grids(*images.shape[-2:])
    stages = []
    for i in range(0, len(architecture.hidden), 2):
        activation, (rows, cols) = architecture.hidden[i], grids[i]
        assert isinstance(activation, PiecewiseLinear)
        conv = architecture.hidden[i + 1] if i + 1 < len(architecture.hidden) else None
        taps = taps_back = None
        if isinstance(conv, Conv):
            forward = window_taps(Window(conv.size, conv.stride, conv.padding), rows, cols)
            taps, taps_back = forward.to(images.device), transposed_taps(forward, rows * cols).to(images.device)
        stages.append(_Stage(activation, rows * cols, conv if isinstance(conv, Conv) else None, taps, taps_back))
    return stages


class _Tile:
    """One batch of pairs on its way through the layers."""

    def __init__(self, recursion: Recursion, stages: list[_Stage], x: Embedding, z: Embedding) -> None:
        self.recursion, self.stages = recursion, stages
        self.n_x, self.n_z = len(x.images), len(z.images)
        first = first_covariance(recursion, x, z)
        self.S = first.flatten(2).permute(2, 0, 1).contiguous()
        self.sides = [(*_roots(qx), *_roots(qz)) for qx, qz in zip(x.variances, z.variances, strict=True)]

    def kernel(self) -> Float[Tensor, "n_x n_z"]:
        """Forward through all layers."""
        S, T = self._before_last([])
        stage, readout = self.stages[-1], self.recursion.architecture.readout
        out = S.new_empty(self.n_x, self.n_z)
        scale = readout.weight_std**2 / stage.positions
        dual_then_mean[(triton.cdiv(out.numel(), BLOCK),)](
            S, T, *self._norms(-1), out, self.n_x, self.n_z, *_constants(stage), scale, readout.bias_std**2,
            stage.positions, TANGENT=self.recursion.tangent, BLOCK=BLOCK,
        )  # fmt: skip
        return out

    def adjoints(self) -> tuple[Float[Tensor, "positions n_x n_z"], list[Float[Tensor, "_ n_x n_z"]]]:
        """The adjoints of the first covariance and of each of x's variances; a forward pass comes first."""
        met: list[tuple[Tensor, Tensor]] = []
        met.append(self._before_last(met))
        total = T_bar = self.S
        q_bars = []
        for level in reversed(range(len(self.stages))):
            stage, (S, T) = self.stages[level], met[level]
            last = stage.conv is None
            scale = (
                self.recursion.architecture.readout.weight_std**2 / stage.positions
                if stage.conv is None
                else stage.conv.weight_std**2 / stage.conv.size**2
            )
            outs = [torch.empty_like(S) for _ in range(3)]
            taps = self.S if stage.taps_back is None else stage.taps_back
            pull_back_dual[self._grid(stage.positions)](
                S, T, *self._norms(level), taps, total, T_bar, *outs, self.n_x, self.n_z, *_constants(stage), scale,
                COINCIDENT, TAPS=0 if last else taps.shape[1], LAST=last, TANGENT=self.recursion.tangent, BLOCK=BLOCK,
            )  # fmt: skip
            total, T_bar, q_bar = outs
            q_bars.append(q_bar)
        return total, q_bars[::-1]

    def _before_last(self, met: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """S and T in front of the last activation; appends those in front of every other to `met`."""
        S = T = self.S
        for level, stage in enumerate(self.stages[:-1]):
            assert stage.conv is not None
            assert stage.taps is not None
            met.append((S, T))
            S_out, T_out = (S.new_empty(len(stage.taps), self.n_x, self.n_z) for _ in range(2))
            conv = stage.conv
            dual_then_window[self._grid(len(stage.taps))](
                S, T, *self._norms(level), stage.taps, S_out, T_out, self.n_x, self.n_z, *_constants(stage),
                conv.weight_std**2 / conv.size**2, conv.bias_std**2,
                TAPS=conv.size**2, TANGENT=self.recursion.tangent, BLOCK=BLOCK,
            )  # fmt: skip
            S, T = S_out, T_out
        return S, T

    def _grid(self, positions: int) -> tuple[int, int]:
        return positions, triton.cdiv(self.n_x * self.n_z, BLOCK)

    def _norms(self, level: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        root_x, over_x, root_z, over_z = self.sides[level]
        return root_x, root_z, over_x, over_z


def _constants(stage: _Stage) -> tuple[float, float]:
    return stage.activation.mean_square, stage.activation.jump


def _roots(q: Float[Tensor, "n rows cols"]) -> tuple[Tensor, Tensor]:
    """Roots of variances and their reciprocals (0 for a zero patch), `(positions, n)`."""
    root = q.flatten(1).T.sqrt().contiguous()
    return root, torch.where(root > 0, 1 / root, 0)
