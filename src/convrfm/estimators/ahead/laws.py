"""How the time of computations that go through their images piece by piece grows."""

from dataclasses import dataclass

from typing_extensions import override

from ...kernels.growth import Pairs


@dataclass(frozen=True)
class Passes(Pairs):
    """Of images that each cost the same, whatever they meet; training images pass twice."""

    @override
    def symmetric_seconds(self, n: int) -> float:
        return 2 * self.left * n


@dataclass(frozen=True)
class ByTiles(Pairs):
    """Of a matrix that is computed tile by tile: images are read in anew for each tile that they are part of."""

    side: int

    @override
    def symmetric_seconds(self, n: int) -> float:
        others = -(-n // self.side) - 1
        return super().symmetric_seconds(n) + (self.left + self.right) / 2 * n * others


@dataclass(frozen=True)
class ByParts(Pairs):
    """Of images on the left in parts, each of which meets all others anew."""

    part: int

    @override
    def seconds(self, n: int, m: int) -> float:
        return super().seconds(n, m) + self.right * m * (-(-n // self.part) - 1)
