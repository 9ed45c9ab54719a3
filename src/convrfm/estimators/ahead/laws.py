"""How the time grows of computations that go through their images piece by piece, or see patches of more entries."""

from dataclasses import dataclass

from typing_extensions import override

from ...kernels.growth import Pairs
from ..solving.solver import Metric


@dataclass(frozen=True)
class Passes(Pairs):
    """Of features, which cost the same for every image; the regression asks for some of them again.

    Attributes:
        columns: features of an image; the regression is in the dual where there are no more images than these.
        batch: images whose features it meets at a time.
        remembered: images whose features it makes only once.
    """

    columns: int
    batch: int
    remembered: int

    @override
    def symmetric_seconds(self, n: int) -> float:
        remembered = n if n <= self.remembered else self.remembered // self.batch * self.batch
        if n > self.columns:
            return self.left * (2 * n - remembered)
        again = 0
        for first in range(remembered, n, self.batch):  # for each batch before it, and for the coefficients
            again += min(self.batch, n - first) * (first // self.batch + 1)
        return self.left * (n + again)


@dataclass(frozen=True)
class ByTiles(Pairs):
    """Of a matrix that is computed tile by tile, a call each: images are read in anew for each that they are part of."""

    side: int

    @override
    def symmetric_seconds(self, n: int) -> float:
        side = -(-n // self.side)
        calls = side * (side + 1) // 2
        read_in = (self.left + self.right) / 2 * n * (side - 1)
        return super().symmetric_seconds(n) + self.fixed * (calls - 1) + read_in


@dataclass(frozen=True)
class ByParts(Pairs):
    """Of images on the left in parts, each of which meets all others anew."""

    part: int

    @override
    def seconds(self, n: int, m: int) -> float:
        return super().seconds(n, m) + (self.fixed + self.right * m) * (-(-n // self.part) - 1)


@dataclass(frozen=True)
class Width:
    """What tells the time of a layer's patches from that of those that are timed.

    Attributes:
        times: how many times as many entries they have.
        decomposed: seconds in which a metric on them is decomposed.
    """

    times: float
    decomposed: float

    def of_matrix(self, law: Pairs, metric: Metric) -> Pairs:
        """The law of a kernel matrix: images meet a metric in the square of the entries, pairs of patches in the entries."""
        if metric is None:
            return Pairs(law.fixed, law.left * self.times, law.right * self.times, law.pair * self.times)
        return self._under_metric(law)

    def of_agop(self, law: Pairs, metric: Metric) -> Pairs:
        """The law of an average gradient outer product, which has the square of the entries itself."""
        if metric is None:
            return Pairs(law.fixed, law.left * self.times**2, law.right * self.times, law.pair * self.times)
        return self._under_metric(law)

    def _under_metric(self, law: Pairs) -> Pairs:
        square = self.times**2
        return Pairs(law.fixed + self.decomposed, law.left * square, law.right * square, law.pair * self.times)
