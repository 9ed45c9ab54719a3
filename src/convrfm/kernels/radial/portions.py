"""How much of the work of a radial kernel is done at a time."""

import math
from dataclasses import dataclass

from ..threads import MOST_PARTS
from ..tiling import blocks
from .patches import PatchesOfImages

SIDES = 2  # x and z
MOVED = 2  # copies of a strip, while it is made
UNFOLDED = 2  # copies of each patch, while they are made
MOST_IMAGES = 512  # on a side of a tile, on the CPU; on a GPU eight times as many
IMAGES_TOGETHER = 64  # whose pairs are formed at once there: of the same images little more than half are
CACHED = 2**19  # numbers there that an operation makes, which stay in caches
AT_ONCE = 8  # such arrays are alive, patches among them


@dataclass(frozen=True)
class Portions:
    """How much is worked at a time: by its own size and a memory budget, whatever the number of threads.

    A quarter of the budget holds strips, a quarter what is made along them, and half what operations make, of all threads
    together. On the CPU a thread works at one row of positions, and there at some columns; on a GPU at as many rows as fit.

    Attributes:
        numbers: that fit the budget.
        rows, cols: the grid of positions.
        entries: d, of a patch.
        strip: numbers of an image that one row of positions meets.
        on_cpu: whether images lie there.
    """

    numbers: int
    rows: int
    cols: int
    entries: int
    strip: int
    on_cpu: bool

    @classmethod
    def within(cls, budget: int, patches: PatchesOfImages) -> "Portions":
        """For pairs of such images."""
        images, q = patches.images, patches.window.size
        _, channels, _, width = images.shape
        numbers = budget // images.element_size()
        return cls(numbers, *patches.grid, channels * q * q, channels * q * width, images.device.type == "cpu")

    @property
    def positions(self) -> int:
        """All of them."""
        return self.rows * self.cols

    @property
    def side(self) -> int:
        """Images on a side of a tile."""
        of_an_image = SIDES * (MOVED * self.strip + UNFOLDED * self.entries)
        fitting = min(self._quarter // of_an_image, math.isqrt(self._quarter))
        return max(1, min(fitting, MOST_IMAGES if self.on_cpu else 8 * MOST_IMAGES))

    @property
    def rows_held(self) -> int:
        """By a thread."""
        fitting = self._at_once // (self.cols * self.side * max(self.side, self.entries))
        return 1 if self.on_cpu else max(1, min(self.rows, fitting))

    def rows_of(self, some: slice) -> list[slice]:
        """Some rows of positions, as a thread works at them one after the other."""
        held = blocks(some.stop - some.start, self.rows_held)
        return [slice(some.start + rows.start, some.start + rows.stop) for rows in held]

    def cols_of(self, n: int, m: int, outputs: int = 0) -> list[slice]:
        """The columns, as n images meet m there, and one of them for so many outputs."""
        of_an_image = outputs * max(m, self.entries)
        numbers = max(max(n, m) * self.entries, self.images_together(n)[0].stop * m, of_an_image)
        return blocks(self.cols, self._at_once // (self.rows_held * numbers))

    def images_together(self, n: int) -> list[slice]:
        """n images in slices whose pairs are formed at once."""
        return blocks(n, IMAGES_TOGETHER if self.on_cpu else n)

    def images_with(self, numbers: int) -> int:
        """Images that take so many numbers at each position that a thread works at; at least one."""
        return max(1, self._quarter // (numbers * self.rows_held * self.cols))

    def at_once(self, n: int, each: int) -> list[slice]:
        """n in slices, where an operation makes so many numbers of each."""
        return blocks(n, self._at_once // each)

    @property
    def _quarter(self) -> int:
        """Numbers that fit a quarter of the budget, for each thread."""
        return self.numbers // 4 // (min(MOST_PARTS, self.rows) if self.on_cpu else 1)

    @property
    def _at_once(self) -> int:
        """Numbers that an operation may make."""
        fitting = 2 * self._quarter // AT_ONCE
        return min(fitting, CACHED) if self.on_cpu else fitting
