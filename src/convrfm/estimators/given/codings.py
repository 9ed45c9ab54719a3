"""What `y` means: from labels or numbers to the targets of the regression, and from its outputs back."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from typing_extensions import override

from ...datasets import check_labels
from ...errors import InputError
from .arrays import Array
from .targets import check_targets, one_hot

Values = Shaped[np.ndarray, "n *k"]
# what is written where a label that is none is a text
MISSING = ("", "nan", "nat", "none", "null", "na", "n/a", "<na>")


class Coding(ABC):
    """How `y` and the regression translate into each other, learned from the `y` of a fit."""

    classify: ClassVar[bool]

    @staticmethod
    @abstractmethod
    def check(y: Array, n: int) -> Values:
        """The `y` of n images as an array; raises `InputError`."""

    @classmethod
    @abstractmethod
    def learned_from(cls, values: Values) -> "Coding":
        """The coding of what `check` gave; raises `InputError` where nothing can be learned from it."""

    @abstractmethod
    def targets(self, values: Values) -> Float[Tensor, "n k"]:
        """Targets of the regression; raises `InputError` for labels that are new."""

    @abstractmethod
    def decide(self, outputs: Array) -> Array:
        """Predictions from outputs of the regression `(n, k)`."""

    @property
    @abstractmethod
    def n_outputs(self) -> int | None:
        """k; None for any number."""

    @abstractmethod
    def to_file(self) -> dict[str, Any]:
        """The coding as JSON."""

    @classmethod
    @abstractmethod
    def from_file(cls, learned: dict[str, Any]) -> "Coding":
        """The coding that `to_file` wrote."""


@dataclass(frozen=True, eq=False)
class LabelCoding(Coding):
    """Labels of any sortable type: a 0/1 target for each class, and the class of the largest output."""

    classes: Shaped[np.ndarray, " k"]

    classify: ClassVar[bool] = True

    @staticmethod
    @override
    def check(y: Array, n: int) -> Values:
        return check_labels(y, n)

    @classmethod
    @override
    def learned_from(cls, values: Values) -> "LabelCoding":
        classes = np.unique(values)
        if len(classes) < 2:
            raise InputError(
                f"a classifier needs images of at least two classes; got one class: all labels are {classes[0]}."
            )
        if classes.dtype.kind == "U" and (missing := [each for each in classes if each.strip().casefold() in MISSING]):
            texts = " or ".join(repr(str(each)) for each in missing)
            warnings.warn(
                f"{np.isin(values, missing).sum()} labels are {texts}, which is taken for a class. If these are missing labels "
                "that became texts, leave their images out.",
                stacklevel=2,
            )
        return cls(classes)

    @override
    def targets(self, values: Values) -> Float[Tensor, "n k"]:
        unknown = np.setdiff1d(values, self.classes)
        if len(unknown):
            raise InputError(
                f"the selection set holds labels that the training set lacks: {unknown[:5].tolist()}. Leave these images out."
            )
        return one_hot(np.searchsorted(self.classes, values), len(self.classes))

    @override
    def decide(self, outputs: Array) -> Array:
        largest = outputs.argmax(1)
        return self.classes[np.asarray(largest.cpu() if isinstance(largest, Tensor) else largest)]

    @property
    @override
    def n_outputs(self) -> int:
        return len(self.classes)

    @override
    def to_file(self) -> dict[str, Any]:
        return {"classes": {"dtype": self.classes.dtype.str, "values": self.classes.tolist()}}

    @classmethod
    @override
    def from_file(cls, learned: dict[str, Any]) -> "LabelCoding":
        entry = learned["classes"]
        kind = np.dtype(entry["dtype"])
        if kind.kind not in "biufU":
            raise ValueError(f"labels are numbers, booleans or strings; these are {kind.str}")
        # Texts are as wide as they are, whatever width the file claims.
        classes = np.asarray(entry["values"], dtype=str if kind.kind == "U" else kind)
        if classes.ndim != 1 or len(set(classes.tolist())) < 2 or classes.tolist() != entry["values"]:
            raise ValueError(f"classes must be two labels or more, of {kind.str}; they are {entry['values'][:5]}")
        return cls(classes)


@dataclass(frozen=True)
class NumberCoding(Coding):
    """Numbers `(n,)` or `(n, k)` as they are."""

    ndim: int

    classify: ClassVar[bool] = False

    @staticmethod
    @override
    def check(y: Array, n: int) -> Values:
        return check_targets(y, n)

    @classmethod
    @override
    def learned_from(cls, values: Values) -> "NumberCoding":
        return cls(values.ndim)

    @override
    def targets(self, values: Values) -> Float[Tensor, "n k"]:
        return torch.tensor(values).reshape(len(values), -1)

    @override
    def decide(self, outputs: Array) -> Array:
        return outputs[:, 0] if self.ndim == 1 else outputs

    @property
    @override
    def n_outputs(self) -> int | None:
        return 1 if self.ndim == 1 else None

    @override
    def to_file(self) -> dict[str, Any]:
        return {"target_ndim": self.ndim}

    @classmethod
    @override
    def from_file(cls, learned: dict[str, Any]) -> "NumberCoding":
        return cls(int(learned["target_ndim"]))
