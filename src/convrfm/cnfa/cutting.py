"""Into which blocks a layer's W is cut: one for each group, several in each, or a single one for all groups."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..kernels.integers import positive_integer


class Cut:
    """Blocks as the caller wants them.

    Args:
        whole: One block for all groups, W block-diagonal.
        blocks: Into how many blocks of equal size the rows are divided, by pattern of names; the first that fits counts.

    Raises:
        InputError: For both at once, or numbers of blocks that are none.
    """

    def __init__(self, whole: bool = False, blocks: Mapping[str, int] | None = None) -> None:
        if whole and blocks:
            raise InputError(
                "whole makes one block of all groups, and blocks divides the rows of each: give one of them."
            )
        self._whole = whole
        self._counts = {
            pattern: positive_integer(f"blocks[{pattern!r}]", count) for pattern, count in (blocks or {}).items()
        }

    def filters(
        self, name: str, filters: Float[Tensor, "groups rows d"]
    ) -> Float[Tensor, "blocks rows_of_block d_of_block"]:
        """W of each block.

        Raises:
            InputError: If the rows are not so many blocks of equal size.
        """
        if self._whole:
            return torch.block_diag(*filters).unsqueeze(0)
        count = self._count(name)
        if filters.shape[1] % count:
            raise InputError(f"blocks: the {filters.shape[1]} rows of {name} are not {count} blocks of equal size.")
        return filters.unflatten(1, (count, -1)).flatten(0, 1)

    def gradients(
        self, name: str, gradients: Float[Tensor, "lead groups rows positions"]
    ) -> Float[Tensor, "lead blocks rows_of_block positions"]:
        """Gradients at the rows of each block."""
        if self._whole:
            return gradients.flatten(1, 2).unsqueeze(1)
        return gradients.unflatten(2, (self._count(name), -1)).flatten(1, 2)

    def core_entries(self, name: str, groups: int, rows: int, d: int) -> int:
        """How many numbers the cores of a layer's blocks are, from the shape of its W."""
        if self._whole:
            return (groups * min(rows, d)) ** 2
        count = self._count(name)
        return groups * count * min(-(-rows // count), d) ** 2

    def check_met(self, names: Iterable[str]) -> None:
        """Raise `InputError` for a pattern that no name fits."""
        names = list(names)
        for pattern in self._counts:
            if not any(fnmatchcase(name, pattern) for name in names):
                near = get_close_matches(pattern, names, n=5, cutoff=0.4) or names[:5]
                raise InputError(
                    f"blocks: no layer that was measured, but the final one, is named as {pattern!r}. Near matches: "
                    f"{', '.join(near) or 'none'}."
                )

    def _count(self, name: str) -> int:
        return next((count for pattern, count in self._counts.items() if fnmatchcase(name, pattern)), 1)
