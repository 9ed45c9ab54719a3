"""The regression of a round on random features of the kernel, in the primal or the dual."""

import functools
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from ...kernels.description import describe
from ...kernels.features import FeatureDraw, FeatureMap, check_drawable
from ...kernels.recursion.recursion import Images
from ...solvers.path import Path
from ...solvers.streamed import streamed_path
from ...storage.digests import digest
from ...storage.kept_state import KeptState
from ...workers import Workers
from ..given.augmentation import Augmentation, images_of_each, with_copies
from .solver import LearnableKernel, Metric, Watch, Weights

FEATURES_ALIVE = 5  # times those of an image: as they are, and with their squares in double precision
OUTPUTS_ALIVE = 10  # numbers of single precision for each output and ridge of an image


@dataclass(frozen=True)
class Features:
    """On random features, the same draw under every metric.

    Attributes:
        draw: which.
        augment: the copies over which an image's features are averaged.
        folder: where the sums of an unfinished regression are kept; None for nowhere.
        memory: bytes that features may take which a regression asks for again; others are made anew.
    """

    draw: FeatureDraw
    augment: tuple[Augmentation, ...] = ()
    folder: pathlib.Path | None = field(default=None, compare=False)
    memory: int = field(default=0, compare=False)

    @override
    def basis(self, kernel: LearnableKernel, x: Images, metric: Metric) -> "FeatureBasis":
        features = FeatureMap(check_drawable(kernel), self.draw, x, metric)
        return FeatureBasis(features, x, self.augment, self._kept(kernel, x, metric), self.memory)

    @override
    def rows(self, n: int) -> int | None:
        return None

    @override
    def decomposed(self, kernel: LearnableKernel, height: int, width: int, n: int) -> int:
        network = check_drawable(kernel)
        return min(n, self.draw.columns(network.architecture, height, width, tangent=network.tangent))

    @override
    def shared_between(self, workers: Workers | None) -> "Features":
        return self

    @override
    def to_file(self) -> dict[str, Any]:
        return {"solver": "features", "averaged_over": list(self.augment), **vars(self.draw)}

    def _kept(self, kernel: LearnableKernel, x: Images, metric: Metric) -> "Keeping | None":
        if self.folder is None:
            return None
        recipe = {"kernel": describe(kernel), "averaged_over": list(self.augment), "version": version("convrfm")}
        return Keeping(self.folder, recipe | vars(self.draw), {"x": x} | ({} if metric is None else {"metric": metric}))


@dataclass(frozen=True, eq=False)
class Keeping:
    """Where the sums of a regression are kept whose features are made by a recipe, of images under a metric."""

    folder: pathlib.Path
    recipe: dict[str, Any]
    tensors: dict[str, Tensor]

    def of(
        self, y: Float[Tensor, "n k"], weights: Weights, groups: Int[Tensor, " n"] | None, at_once: int
    ) -> KeptState:
        """The file of these targets' sums, over batches of so many images, each with whole groups."""
        tensors = self.tensors | {"y": y, "weights": weights, "groups": groups}
        there = {name: each for name, each in tensors.items() if each is not None}
        computation = digest(self.recipe | {"at_once": at_once}, there)
        return KeptState(self.folder / f"sums-{computation[:16]}.safetensors", computation)


@dataclass(frozen=True, eq=False)
class FeatureBasis:
    """The columns of random features, each averaged over an image and its copies: outputs of all of these are the same."""

    features: FeatureMap
    x: Images
    augment: Sequence[Augmentation] = ()
    keeping: Keeping | None = None
    memory: int = 0

    def averaged(self, images: Images) -> Float[Tensor, "m columns"]:
        """The features of images."""
        of_copies = map(self.features, with_copies(images, self.augment))
        return functools.reduce(Tensor.add_, of_copies).div_(images_of_each(self.augment))

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
        columns, at_once = self.features.n_columns, self.batch(len(ridges) * (y.shape[1] + 1))
        kept = self.keeping.of(y, weights, groups, at_once) if self.keeping and len(self.x) > columns else None
        path = streamed_path(
            lambda rows: self.averaged(self.x[rows]),
            columns,
            y,
            weights,
            groups,
            ridges=ridges,
            centered=centered,
            at_once=at_once,
            remembered=self.remembered,
            watch=watch,
            kept=kept,
        )
        if kept:
            kept.remove()
        return path

    @override
    def outputs(self, images: Images, coef: Float[Tensor, "j k"], watch: Watch | None = None) -> Float[Tensor, "m k"]:
        parts = images.split(self._at_once)
        return torch.cat([(self.averaged(part) @ coef.to(part)).to(coef) for part in parts])

    @override
    def agop(self, images: Images, coef: Float[Tensor, "j k"], weights: Weights, watch: Watch) -> Float[Tensor, "d d"]:
        """That of the features of all copies: with many features each copy's gradients are those of the average."""
        agops = (self.features.agop(each, coef.to(images), weights) for each in with_copies(images, self.augment))
        return functools.reduce(Tensor.add_, agops).div_(images_of_each(self.augment))

    @property
    @override
    def entries(self) -> int:
        return self.features.n_columns

    @property
    def remembered(self) -> int:
        """Of how many images the regression makes features only once."""
        return self.memory // (self.features.n_columns * self.x.element_size())

    def batch(self, outputs: int) -> int:
        """Of how many images the regression meets the features at a time, with so many outputs of each."""
        columns = self.features.n_columns
        return max(1, self._at_once * columns // (FEATURES_ALIVE * columns + OUTPUTS_ALIVE * outputs))

    @property
    def _at_once(self) -> int:
        """Of how many images features may be alive: those of a copy are made beside the sum."""
        return max(1, self.features.rows_at_once // (2 if self.augment else 1))
