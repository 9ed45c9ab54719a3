"""The average gradient outer product at many images in parts, which workers share and an interrupted fit goes on from."""

import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ...kernels.description import describe
from ...kernels.kernel_tiles import KernelTiles
from ...kernels.recursion.recursion import Images
from ...kernels.tiling import blocks
from ...storage.digests import digest
from ...storage.kept_state import KeptState
from ...storage.shared_arrays import SharedArrays, shared_arrays
from ...storage.stored_kernel import fingerprint
from ...storage.tile_store import precision_of
from ...workers import Workers
from .running_sum import RunningSum
from .solver import LearnableKernel, Metric, Watch, Weights

PART, PART_ON_A_GPU = 64, 2048  # images at which gradients are taken together
KEPT_EVERY = 60.0  # seconds: how often finished parts are kept
SUM = "agop-"  # begins the names of what is kept


def part_size(device: torch.device) -> int:
    """How many images at which gradients are taken make a part."""
    return PART_ON_A_GPU if device.type == "cuda" else PART


def drop_sums(folder: Path) -> None:
    """Take away the sums that are kept in a folder."""
    for path in folder.glob(f"{SUM}*.safetensors"):
        path.unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class AgopInParts:
    """The average gradient outer product of sum_i coef_i K(., z_i).

    Attributes:
        kernel: K.
        metric: of it.
        x: images at which gradients are taken.
        z: the training images.
        coef: `(m, k)`.
        weights: of the images of x; None for equal ones.
    """

    kernel: LearnableKernel
    metric: Metric
    x: Images
    z: Float[Tensor, "m c h w"]
    coef: Float[Tensor, "m k"]
    weights: Weights

    @property
    def parts(self) -> list[slice]:
        """Of x."""
        return blocks(len(self.x), self._size)

    def part(self, number: int) -> Float[Tensor, "d d"]:
        """The average over a part, in double precision."""
        rows = self.parts[number]
        weights = None if self.weights is None else self.weights[rows]
        return _average(self.kernel, self.x[rows], self.z, self.coef, self.metric, weights)

    def computed(self, folder: Path, workers: Workers | None, watch: Watch, *, kept: bool) -> Float[Tensor, "d d"]:
        """The average over all parts, the same for any workers and interruptions.

        Args:
            folder: what workers reach too.
            workers: compute the parts; None for this process.
            watch: is told how many are finished.
            kept: whether the sum of finished parts is kept in the folder, at most a minute after they are. That of all stays:
                while the round under its metric is unfinished, a fit that goes on needs it.
        """
        parts, shares, progress = self.parts, self._shares.tolist(), watch("AGOP")
        file = KeptState(folder / f"{SUM}{self._digest[:16]}.safetensors", f"running sum of {self._digest}")
        state = file.read() if kept else None
        running = RunningSum(self._zero) if state is None else RunningSum.from_tensors(state)
        last = time.monotonic()
        for number, average in self._averages(folder, running.missing(len(parts)), workers):
            running.add(number, shares[number] * average)
            complete = running.summed == len(parts)
            if kept and (complete or time.monotonic() - last > KEPT_EVERY):
                file.write(running.tensors())
                last = time.monotonic()
            if progress:
                progress(running.summed + len(running.early), len(parts))
        return running.total.to(self.coef.device)

    def _averages(
        self, folder: Path, numbers: list[int], workers: Workers | None
    ) -> Iterator[tuple[int, Float[Tensor, "d d"]]]:
        if workers is None:
            yield from ((number, self.part(number)) for number in numbers)
            return
        tensors = {"x": self.x, "z": self.z, "coef": self.coef, "weights": self.weights, "feature_matrix": self.metric}
        with shared_arrays(folder / f"{SUM}{self._digest[:16]}", tensors, self._size) as arrays:
            yield from workers.results(AgopWork(self.kernel, self.x.device.type, arrays, self._size), numbers)

    @property
    def _size(self) -> int:
        return part_size(self.x.device)

    @property
    def _zero(self) -> Float[Tensor, "d d"]:
        entries = self.x.shape[1] * self.kernel.window.size**2
        return torch.zeros(entries, entries, dtype=torch.float64)

    @property
    def _shares(self) -> Float[Tensor, " parts"]:
        """Of the weight of all images, that of each part."""
        weights = torch.ones(len(self.x)) if self.weights is None else self.weights.cpu()
        sums = torch.stack([weights[rows].double().sum() for rows in self.parts])
        return sums / sums.sum()

    @functools.cached_property
    def _digest(self) -> str:
        of_images = fingerprint(KernelTiles(self.kernel, self.x, self.z, self.metric, self._size), precision_of(self.x))
        budget = describe(self.kernel).get("memory_budget")  # decides the rounding of a part
        tensors = {"coef": self.coef} | ({} if self.weights is None else {"weights": self.weights})
        return digest({"of": of_images, "memory_budget": budget}, tensors)


@dataclass(frozen=True)
class AgopWork:
    """Computes a part in any process that reaches the arrays; it holds all training images.

    Attributes:
        kernel: K.
        device: where it is computed.
        arrays: what `AgopInParts` has.
        size: images of a part.
    """

    kernel: LearnableKernel
    device: str
    arrays: SharedArrays
    size: int

    def __call__(self, number: int) -> Float[Tensor, "d d"]:
        """The average over a part."""
        rows = slice(number * self.size, (number + 1) * self.size)
        z, coef, metric = _held(self.arrays, self.device)
        weights = self.arrays.read("weights", rows).to(self.device) if "weights" in self.arrays else None
        return _average(self.kernel, self.arrays.read("x", rows).to(self.device), z, coef, metric, weights)


@functools.lru_cache(maxsize=1)
def _held(arrays: SharedArrays, device: str) -> tuple[Tensor, Tensor, Tensor | None]:
    """What every part needs; the folder's name is a digest of it."""
    metric = arrays.read("feature_matrix").to(device) if "feature_matrix" in arrays else None
    return arrays.read("z").to(device), arrays.read("coef").to(device), metric


def _average(
    kernel: LearnableKernel, x: Images, z: Float[Tensor, "m c h w"], coef: Tensor, metric: Metric, weights: Weights
) -> Float[Tensor, "d d"]:
    return kernel.agop(x, z, coef, feature_matrix=metric, weights=weights).double().cpu()
