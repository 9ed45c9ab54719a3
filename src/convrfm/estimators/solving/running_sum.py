"""A sum whose rounding does not depend on when its terms arrive."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Shaped
from torch import Tensor


@dataclass(eq=False)
class RunningSum:
    """A sum in the order of its terms' numbers; only terms that come before their turn are held beside it.

    Attributes:
        total: of the first terms; every later one is added in place.
        summed: how many.
        early: the terms that wait for one before them, by number.
    """

    total: Float[Tensor, "d d"]
    summed: int = 0
    early: dict[int, Float[Tensor, "d d"]] = field(default_factory=dict)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> "RunningSum":
        """The sum of which `tensors` made these."""
        early = {int(name): term for name, term in tensors.items() if name.isdigit()}
        return cls(tensors["total"], int(tensors["summed"]), early)

    def tensors(self) -> dict[str, Shaped[Tensor, "..."]]:
        """All that is needed to go on, by name."""
        early = {str(number): term for number, term in self.early.items()}
        return {"total": self.total, "summed": torch.tensor(self.summed), **early}

    def add(self, number: int, term: Float[Tensor, "d d"]) -> None:
        """Add a term as soon as all before it are there."""
        self.early[number] = term
        while self.summed in self.early:
            self.total += self.early.pop(self.summed)
            self.summed += 1

    def missing(self, terms: int) -> list[int]:
        """The numbers of those, of so many terms, that have not come."""
        return [number for number in range(self.summed, terms) if number not in self.early]
