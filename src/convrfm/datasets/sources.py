"""What a reader of images is asked for, and what it hands over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Shaped

from ..errors import InputError
from .pictures import PictureBatch


@dataclass(frozen=True)
class Pictures:
    """Raw pictures with their labels.

    Attributes:
        raw: One array `(c, h, w)` per picture, or a batch `(n, c, h, w)`.
        labels: `(n,)` integers or strings; None where there are none.
        names: File names, or positions in the array they came from.
        white: Raw value that becomes 1.
        notes: Sentences on what was left out.
    """

    raw: PictureBatch
    labels: Shaped[np.ndarray, " n"] | None
    names: tuple[str, ...]
    white: float = 1.0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: Shaped[np.ndarray, " m"]) -> Pictures:
        """The pictures at `indices`, in that order."""
        return Pictures(
            raw=[self.raw[i] for i in indices],
            labels=None if self.labels is None else self.labels[indices],
            names=tuple(self.names[i] for i in indices),
            white=self.white,
            notes=self.notes,
        )


def joined(first: Pictures, second: Pictures) -> Pictures:
    """Training pictures and those of a validation part, whose names say where they come from; both have labels."""
    assert first.labels is not None
    assert second.labels is not None
    return replace(
        first,
        raw=[*first.raw, *second.raw],
        labels=np.concatenate([first.labels, second.labels]),
        names=(*first.names, *(f"validation/{name}" for name in second.names)),
    )


@dataclass(frozen=True)
class Source:
    """A data set as it is stored: training pictures, and those that it sets apart for testing and for validation.

    Attributes:
        train: those to train on, all that there are where none are set apart.
        test: those for testing.
        validation: those for validation.
        notes: Sentences on what lies beside them.
    """

    train: Pictures
    test: Pictures | None = None
    validation: Pictures | None = None
    notes: tuple[str, ...] = ()

    @property
    def for_testing(self) -> Pictures:
        """Those for testing, or where none are set apart those to train on; with all notes."""
        part = self.train if self.test is None else self.test
        return replace(part, notes=(*part.notes, *self.notes))


@dataclass(frozen=True)
class Reading:
    """How to read a source; each reader looks at what concerns it. The meanings are those of `load`."""

    n_train: int | None = None
    n_test: int | None = None
    seed: int = 0
    image_size: tuple[int, int] | None = None
    unreadable: Literal["error", "skip"] = "error"
    sigma: float | None = None
    root: str | Path | None = None
    download: bool = False
    labels: Path | None = None

    def __post_init__(self) -> None:
        for name in ("n_train", "n_test"):
            if (n := getattr(self, name)) is not None and not _counts(n, 1):
                raise InputError(f"{name} must be an integer of at least 1; got {n!r}. Leave it out for all images.")
        if not _counts(self.seed, 0):
            raise InputError(f"seed must be an integer of at least 0; got {self.seed!r}.")
        if self.unreadable not in ("error", "skip"):
            raise InputError(f'unreadable must be "error" or "skip"; got {self.unreadable!r}.')
        size = self.image_size
        if size is not None and not (isinstance(size, tuple) and len(size) == 2 and all(_counts(s, 1) for s in size)):
            raise InputError(f"image_size must be (height, width), integers of at least 1; got {size!r}.")
        if self.sigma is not None and (isinstance(self.sigma, bool) or not isinstance(self.sigma, Real)):
            raise InputError(f"sigma must be a number; got {self.sigma!r}.")


def positions(n: int) -> tuple[str, ...]:
    """Names for pictures that have none: "0", "1", ..."""
    return tuple(map(str, range(n)))


def _counts(value: object, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
