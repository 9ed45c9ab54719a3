"""The regression of a round by conjugate gradients on the tiles of the kernel matrix.

They lie in memory where they fit, and otherwise on disk; that decides no bit of what is fitted.
"""

import pathlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from ...kernels.kernel_tiles import KernelTiles, Tiles, default_side
from ...kernels.recursion.recursion import Images
from ...solvers.conjugate_gradients import State
from ...solvers.iterative import IterativePath, default_rank
from ...solvers.path import Path
from ...solvers.tiled import gathered
from ...storage.digests import digest
from ...storage.kept_state import read_state, write_state
from ...storage.stored_kernel import fingerprint, kept_kernel
from ...storage.tile_store import precision_of
from ...workers import Workers
from .agop_in_parts import AgopInParts
from .solver import Basis, Exact, KernelBasis, LearnableKernel, Metric, Watch, Weights, within

KEPT_EVERY = 60.0  # seconds: how often the state of a solve is kept
STATE = "solve.safetensors"
SEEDS = 1 << 64  # how many torch tells apart


@dataclass(frozen=True)
class Iterative(Exact):
    """On the kernel at the training images, by conjugate gradients.

    Attributes:
        seed: of what a fit and the solver draw.
        temporaries: as `Exact` has them, in every process that shares the work.
        memory: bytes that a kernel matrix may take; a larger one lies on disk.
        folder: where, and what an interrupted fit goes on from; None for a temporary folder.
        workers: share the work on a matrix that lies on disk, in a folder that they reach too; None for this process.
    """

    seed: int
    memory: int = field(default=0, compare=False)
    folder: pathlib.Path | None = field(default=None, compare=False)
    workers: Workers | None = field(default=None, compare=False)

    @override
    def basis(self, kernel: LearnableKernel, x: Images, metric: Metric) -> Basis:
        return IterativeBasis(within(self.temporaries, kernel), x, metric, self)

    @override
    def decomposed(self, kernel: LearnableKernel, height: int, width: int, n: int) -> int:
        return default_rank(n)

    @override
    def shared_between(self, workers: Workers | None) -> "Iterative":
        return replace(self, workers=workers)

    @override
    def to_file(self) -> dict[str, Any]:
        return {"solver": "cg", "seed": self.seed}

    @contextmanager
    def working_folder(self) -> Iterator[pathlib.Path]:
        """Where tiles are kept; a temporary folder vanishes afterwards."""
        if self.folder is not None:
            yield self.folder
            return
        with tempfile.TemporaryDirectory(prefix="convrfm-") as folder:
            yield pathlib.Path(folder)


@dataclass(frozen=True, eq=False)
class IterativeBasis(KernelBasis):
    """K(., x_i) for every training image, whose coefficients conjugate gradients find."""

    solver: Iterative

    @override
    def path(
        self,
        y: Float[Tensor, "n k"],
        weights: Weights,
        groups: Int[Tensor, " n"] | None,
        *,
        ridges: Sequence[float],
        centered: bool,
        watch: Watch,
    ) -> Path:
        """All that will be asked for is solved at once, while the tiles are there."""
        assert groups is None, "settings.check_solver refuses groups"
        regression = _Regression(y, weights, tuple(ridges), centered, self.solver.seed)
        recipe = KernelTiles(self.kernel, self.x, None, self.metric, default_side(len(self.x)))
        precision = precision_of(self.x)
        with self.solver.working_folder() as folder:
            of_round = folder / fingerprint(recipe, precision)[:16]
            if not (self._beyond_memory or of_round.exists()):
                held = gathered(recipe, watch("kernel"))
                self.check_resemblance(held)
                return regression.solved(held, watch)
            with kept_kernel(of_round / "K.zarr", recipe, precision, workers=self.solver.workers) as kept:
                kept.complete(watch("kernel"))
                self.check_resemblance(kept)
                path = regression.solved(kept, watch, None if self.solver.folder is None else of_round / STATE)
            shutil.rmtree(of_round, ignore_errors=True)
        return path

    @override
    def agop(self, images: Images, coef: Float[Tensor, "j k"], weights: Weights, watch: Watch) -> Float[Tensor, "d d"]:
        with self.solver.working_folder() as folder:
            in_parts = AgopInParts(self.kernel, self.metric, images, self.x, coef, weights)
            return in_parts.computed(folder, self.solver.workers, watch, kept=self.solver.folder is not None)

    @property
    def _beyond_memory(self) -> bool:
        return self.solver.workers is not None or len(self.x) ** 2 * self.x.element_size() > self.solver.memory


@dataclass(frozen=True, eq=False)
class _Regression:
    """What is solved on the tiles of a kernel matrix."""

    y: Float[Tensor, "n k"]
    weights: Weights
    ridges: tuple[float, ...]
    centered: bool
    seed: int

    def solved(self, tiles: Tiles, watch: Watch, kept_in: pathlib.Path | None = None) -> Path:
        """The path with every ridge solved, from the state in a file where it is one of this regression."""
        last = time.monotonic()

        def after(state: State, excess: float) -> None:
            nonlocal last
            watch(f"conjugate gradients, iteration {int(state.iterations)}, residual {excess:.2g} x tolerance")
            if kept_in is not None and time.monotonic() - last > KEPT_EVERY:
                write_state(kept_in, state.tensors(), self._digest)
                last = time.monotonic()

        kept = None if kept_in is None else read_state(kept_in, self._digest)
        path = IterativePath(
            tiles,
            self.y,
            torch.Generator().manual_seed(self.seed % SEEDS),
            self.weights,
            centered=self.centered,
            start=None if kept is None else State(**kept),
            after=after,
        )
        path.leave_one_out(self.ridges)
        return path

    @property
    def _digest(self) -> str:
        values = {"ridges": self.ridges, "centered": self.centered, "seed": self.seed}
        return digest(values, {"y": self.y} | ({} if self.weights is None else {"weights": self.weights}))
