"""Networks whose every layer the strip programs can walk: tiles of the kernel and of its adjoints."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import triton
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from ...recursion.recursion import Recursion
from ...tiling import tiles
from ..protocol import AdjointEngine, Gradient
from .backward_strips import backward_strips
from .blocks import Blocks, Cuts
from .forward_strips import forward_strips
from .runs import Run, before, dual_constants, runs_of
from .sides import BoundSides, CudaEmbedding, first_covariance, pairs_within

Launch = Callable[..., None]
"""Takes a program, its grid, and its arguments."""


def launch_now(program: Any, grid: tuple[int, ...], *arguments: Any, **constants: Any) -> None:
    """As Triton launches."""
    program[grid](*arguments, **constants)


def compile_only(program: Any, grid: tuple[int, ...], *arguments: Any, **constants: Any) -> None:
    """What a launch would do first, unless that is done."""
    program.warmup(*arguments, grid=grid, **constants)


@dataclass(eq=False)
class BoundStrips(BoundSides, AdjointEngine[CudaEmbedding]):
    """The cuda engine for one such network."""

    recursion: Recursion
    budget: int
    cuts: Cuts

    @override
    def kernel(self, x: CudaEmbedding, z: CudaEmbedding) -> Float[Tensor, "n_x n_z"]:
        out = x.images.new_empty(len(x.images), len(z.images))
        runs = self._runs(x)
        first = _positions(runs[0].grid)
        pairs = pairs_within(
            self.budget, first, first + 4 * max(_positions(run.grid_out) for run in runs[:-1]) if runs[1:] else first
        )
        for rows, cols in tiles(len(x.images), len(z.images), pairs, symmetric=z is x):
            tile = Tile(self, x, z, rows, cols)
            S = T = first_covariance(self.recursion, x, z, rows, cols)
            for run in runs:
                S, T = tile.walk(run, S, T, cols.start - rows.start if z is x else len(x.images))
            out[rows, cols] = S
        return out

    @override
    def add_gradient(
        self, x: CudaEmbedding, z: CudaEmbedding, dual_coef: Float[Tensor, "n_z k"], total: Gradient
    ) -> None:
        for rows, cols, S_bar in self._adjoints(x, z, dual_coef, total.variances, symmetric=z is x):
            for some, others, met in _either_way(S_bar, rows, cols, symmetric=z is x):
                partners = torch.einsum("urj,jk->ujkr", z.side[:, :, others], dual_coef[others]).flatten(2)
                total.patches[:, some].flatten(2).baddbmm_(met, partners)

    @override
    def adjoints(
        self,
        x: CudaEmbedding,
        z: CudaEmbedding,
        dual_coef: Float[Tensor, "n_z k"],
        variances: list[Float[Tensor, "n_x k _ _"]],
    ) -> Iterator[tuple[slice, Float[Tensor, "positions n_some n_z"]]]:
        for rows, _, S_bar in self._adjoints(x, z, dual_coef, variances, whole_rows=True):
            yield rows, S_bar

    def _adjoints(
        self,
        x: CudaEmbedding,
        z: CudaEmbedding,
        dual_coef: Float[Tensor, "n_z k"],
        variances: list[Float[Tensor, "n_x k _ _"]],
        *,
        symmetric: bool = False,
        whole_rows: bool = False,
    ) -> Iterator[tuple[slice, slice, Float[Tensor, "positions n_some n_any"]]]:
        """Tile by tile; symmetric: those that reach the upper half, which stand for all."""
        steps = self._runs(x, longest=1)
        sizes = [_positions(step.grid) for step in steps]
        pairs = pairs_within(self.budget, sizes[0], 2 * sum(sizes) + 5 * sizes[0])
        n_x, n_z = len(x.images), len(z.images)
        height = None
        if whole_rows:
            pairs = max(pairs, n_z)
            height = pairs // n_z
        for rows, cols in tiles(n_x, n_z, pairs, symmetric=symmetric, height=height):
            tile = Tile(self, x, z, rows, cols)
            met = [2 * (first_covariance(self.recursion, x, z, rows, cols),)]
            for step in steps[:-1]:
                met.append(tile.walk(step, *met[-1], n_x))
            total = T_bar = met[0][0]
            for step in reversed(steps):
                S, T = met.pop()
                total, T_bar, q_bar = tile.pull_back(step, S, T, total, T_bar)
                own = 0.5 * step.activations[0].jump * x.over[step.start : step.start + len(q_bar)].square()
                for some, others, q_met in _either_way(q_bar, rows, cols, symmetric=symmetric):
                    adjoints = (own[:, some, None] * (q_met @ dual_coef[others])).permute(1, 2, 0)
                    of_level = variances[len(met)][some]
                    of_level += adjoints.unflatten(2, of_level.shape[2:])
            yield rows, cols, total

    def _runs(self, x: CudaEmbedding, **limits: int) -> list[Run]:
        architecture = self.recursion.architecture
        return runs_of(architecture, architecture.grids(*x.images.shape[-2:]), **limits)


class Tile:
    """Some pairs of images on their way through the layers."""

    def __init__(
        self,
        engine: BoundStrips,
        x: CudaEmbedding,
        z: CudaEmbedding,
        rows: slice,
        cols: slice,
        launch: Launch = launch_now,
    ) -> None:
        self._recursion, self._cuts, self._launch = engine.recursion, engine.cuts, launch
        self._over = x.over[:, rows], z.over[:, cols]
        self._n_x, self._n_z = rows.stop - rows.start, cols.stop - cols.start

    def walk(self, run: Run, S: Tensor, T: Tensor, diagonal: int) -> tuple[Tensor, Tensor]:
        """S and T behind a run, `(positions, n_x, n_z)`; behind the last one the kernel, `(n_x, n_z)`, twice."""
        readout, tangent = self._recursion.architecture.readout, self._recursion.tangent
        rows, cols = run.grid_out
        blocks = (self._cuts.forward if run.ends or len(run.activations) > 1 else self._cuts.step).within(rows)
        strips = triton.cdiv(rows, blocks.rows)
        if run.ends:
            S_out = T_out = S.new_empty(self._n_x, self._n_z)
        else:
            S_out, T_out = (S.new_empty(rows * cols, self._n_x, self._n_z) for _ in range(2))
        grid = *self._grid(blocks), 1 if run.ends else strips
        self._launch(
            forward_strips, grid,
            S, T, *self._norms(run), S_out, T_out, self._n_x, self._n_z, *self._strides, *run.grid,
            rows, strips if run.ends else 1, run.steps, diagonal,
            readout.weight_std**2 / (rows * cols), readout.bias_std**2, run.constants,
            PLAN=run.plan(blocks.rows), DEPTH=len(run.activations), FIRST=run.start == 0, MEAN=run.ends, TANGENT=tangent,
            **blocks.constants,
        )  # fmt: skip
        return S_out, T_out

    def pull_back(
        self, step: Run, S: Tensor, T: Tensor, next_total: Tensor, next_T: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Adjoints in front of an activation of S with T, of T, and of either variance less a factor of its image alone.

        They come from those in front of the next activation.
        """
        readout, tangent = self._recursion.architecture.readout, self._recursion.tangent
        (rows, cols), conv = step.grid, None if step.ends else step.convs[0]
        blocks = self._cuts.backward.within(rows)
        scale = readout.weight_std**2 / (rows * cols) if conv is None else conv.weight_std**2 / conv.size**2
        total, T_bar, q_bar = (torch.empty_like(S) for _ in range(3))
        grid = *self._grid(blocks), triton.cdiv(rows, blocks.rows)
        self._launch(
            backward_strips, grid,
            S, T, *self._norms(step), next_total, next_T, total, T_bar, q_bar, self._n_x, self._n_z, *self._strides,
            rows, cols, *step.grid_out, 0 if conv is None else before(conv), scale, *dual_constants(step.activations[0]),
            SIZE=0 if conv is None else conv.size, FIRST=step.start == 0, TANGENT=tangent,
            **blocks.constants,
        )  # fmt: skip
        return total, T_bar, q_bar

    def _grid(self, blocks: Blocks) -> tuple[int, int]:
        return self._n_x, triton.cdiv(self._n_z, blocks.lanes)

    def _norms(self, run: Run) -> tuple[Tensor, Tensor]:
        return self._over[0][run.start :], self._over[1][run.start :]

    @property
    def _strides(self) -> tuple[int, int]:
        return self._over[0].stride(0), self._over[1].stride(0)


def _either_way(
    adjoints: Float[Tensor, "positions n_x n_z"], rows: slice, cols: slice, *, symmetric: bool
) -> Iterator[tuple[slice, slice, Float[Tensor, "positions n_some n_others"]]]:
    """A tile's adjoints for the images of its rows; symmetric: each pair of the upper half, then mirrored for its columns."""
    crosses_diagonal = symmetric and cols.start < rows.stop
    below = rows.start - cols.start
    yield rows, cols, adjoints.triu_(below) if crosses_diagonal else adjoints
    if symmetric:
        yield cols, rows, (adjoints.triu_(below + 1) if crosses_diagonal else adjoints).mT


def _positions(grid: tuple[int, int]) -> int:
    return grid[0] * grid[1]
