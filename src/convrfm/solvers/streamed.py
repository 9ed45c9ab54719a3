"""Ridge regression on features that are made batch by batch: whatever there are fewer of, features or images, is decomposed."""

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..kernels.threads import in_order, parts
from .exact import RidgePath
from .normal_equations import NormalEquations, PrimalPath, Progress
from .path import Path

Rows = Int[Tensor, " _"]
Features = Callable[[Rows], Float[Tensor, "_ columns"]]
Watch = Callable[[str], Progress | None]
Tensors = Mapping[str, Float[Tensor, "..."]]
KEPT_EVERY = 300.0  # seconds
ROWS_TOGETHER = 128  # of a product that threads share


@runtime_checkable
class Kept(Protocol):
    """Where the tensors of an unfinished computation are kept."""

    def read(self) -> Tensors | None:
        """Those that are there, whole and of the same computation; None without any."""

    def write(self, tensors: Tensors) -> None:
        """Keep these in place of those."""


def unwatched(_: str) -> None:
    """Tells nobody."""


def streamed_path(
    features: Features,
    columns: int,
    targets: Float[Tensor, "n k"],
    weights: Float[Tensor, " n"] | None,
    groups: Int[Tensor, " n"] | None,
    *,
    ridges: Sequence[float],
    centered: bool,
    at_once: int,
    remembered: int = 0,
    watch: Watch = unwatched,
    kept: Kept | None = None,
) -> Path:
    """The regression of the targets on features; the same numbers either way, but for rounding.

    In the primal the features pass twice: for their normal equations, and for what is left out. That takes n columns^2
    operations and columns^2 doubles, beside n (3 k + 1) doubles a ridge. In the dual it is n^2 columns and n^2, and the
    features of a batch pass once for each batch before it. Those that are remembered are made once.

    Args:
        features: of the images with these numbers.
        columns: how many an image has.
        targets: `(n, k)`.
        weights: of the images, positive; None for 1.
        groups: numbers from 0 of what is left out together; None for single images.
        ridges: those that will be asked for.
        centered: whether the regression is of the targets less their mean.
        at_once: images of which features may be alive.
        remembered: images beside those of which features may stay alive until the path is gone.
        watch: from what is being done to what is told of its progress.
        kept: where unfinished sums are kept, of which it goes on from those that are there; None for nowhere.
    """
    features = remembering(features, remembered)
    if len(targets) <= columns:
        return DualPath(features, targets, weights, groups, centered=centered, at_once=at_once)
    batches = batches_of_groups(len(targets), groups, at_once, targets.device)
    equations = summed(features, columns, targets, weights, batches, watch("normal equations"), kept)
    return PrimalPath(
        equations,
        features,
        batches,
        targets,
        weights,
        groups,
        ridges=ridges,
        centered=centered,
        progress=watch("leave-one-out"),
    )


def remembering(features: Features, images: int) -> Features:
    """The same features of batches, of which those that come first are made once: of so many images."""
    made: dict[int, Float[Tensor, "_ columns"]] = {}
    room = images

    def features_of(rows: Rows) -> Float[Tensor, "_ columns"]:
        nonlocal room
        batch = int(rows[0])  # an image is in one batch only
        if batch in made:
            return made[batch]
        of_rows = features(rows)
        if len(rows) <= room:
            made[batch] = of_rows
            room -= len(rows)
        else:
            room = 0
        return of_rows

    return features_of


def summed(
    features: Features,
    columns: int,
    targets: Float[Tensor, "n k"],
    weights: Float[Tensor, " n"] | None,
    batches: Sequence[Rows],
    progress: Progress | None,
    kept: Kept | None,
) -> NormalEquations:
    """The sums over all batches, from those on that were kept; they are kept every few minutes, and when they are complete."""
    state = kept.read() if kept else None
    sums = NormalEquations.from_tensors(state, targets.device) if state else NormalEquations.empty(columns, targets)
    last, met = time.monotonic(), 0
    for number, rows in enumerate(batches, 1):
        met += len(rows)
        if met <= sums.images:
            continue
        sums.add(features(rows), targets[rows], None if weights is None else weights[rows])
        if progress:
            progress(number, len(batches))
        if kept and (met == len(targets) or time.monotonic() - last > KEPT_EVERY):
            kept.write(sums.to_tensors())
            last = time.monotonic()
    return sums


class DualPath(RidgePath):
    """The regression from the features' inner products; coefficients are those of the features."""

    def __init__(
        self,
        features: Features,
        targets: Float[Tensor, "n k"],
        weights: Float[Tensor, " n"] | None,
        groups: Int[Tensor, " n"] | None,
        *,
        centered: bool,
        at_once: int,
    ) -> None:
        self._features = features
        self._batches = batches_of_groups(len(targets), None, at_once, targets.device)
        super().__init__(self._products(), targets, weights, groups, centered=centered)

    def coefs(self, ridges: Sequence[float]) -> list[Float[Tensor, "columns k"]]:
        """For every ridge, the coefficients of the features."""
        alphas = torch.cat(super().coefs(ridges), 1)
        parts = (self._features(rows).T @ alphas[rows].to(self._kernel_matrix) for rows in self._batches)
        return list(functools.reduce(torch.add, parts).double().chunk(len(ridges), 1))

    def _products(self) -> Float[Tensor, "n n"]:
        products: Tensor | None = None
        for number, rows in enumerate(self._batches):
            of_rows = self._features(rows)
            if products is None:
                n = sum(map(len, self._batches))
                products = of_rows.new_empty(n, n)
            for cols in self._batches[number:]:
                of_cols = of_rows if cols is rows else self._features(cols)
                met = _product(of_rows, of_cols)
                products[rows[:, None], cols], products[cols[:, None], rows] = met, met.T
        assert products is not None
        return products


def _product(left: Float[Tensor, "m columns"], right: Float[Tensor, "p columns"]) -> Float[Tensor, "m p"]:
    """Inner products of rows, shared between threads."""
    some_of_left = parts(len(left), ROWS_TOGETHER, left.device)
    return torch.cat(in_order(lambda rows: left[rows] @ right.T, some_of_left))


def batches_of_groups(n: int, groups: Int[Tensor, " n"] | None, at_once: int, device: torch.device) -> list[Rows]:
    """The numbers of all images in batches of at most so many; a group is in one batch, whatever its size."""
    if groups is None:
        return list(torch.arange(n, device=device).split(max(1, at_once)))
    batches: list[Rows] = []
    for members in _members(groups):
        if batches and len(batches[-1]) + len(members) <= at_once:
            batches[-1] = torch.cat([batches[-1], members])
        else:
            batches.append(members)
    return batches


def _members(groups: Int[Tensor, " n"]) -> Iterator[Rows]:
    sizes = groups.bincount()
    yield from groups.argsort(stable=True).split(sizes[sizes > 0].tolist())
