"""What a fit leaves: layers, the images that they were fitted to, and what becomes of new ones."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import InputError
from ...kernels.arrays import settled_layout
from ...maths.patches import response_lengths
from ...maths.precision import full_precision
from ...maths.psd import psd_factor
from ...maths.random_filters import RandomFeatures
from ...quantities import counted, size
from ...solvers.exact import GaussianPosterior
from ..ahead.footprint import bytes_of_decomposition
from ..ahead.outlook import USABLE, free_bytes
from ..learning.layers import FittedLayer
from ..learning.problem import Problem
from ..learning.rounds import Round
from ..solving.solver import Exact, Solver
from ..solving.solver_files import solver_from_file
from .layer_files import Tensors, layers_from_file, layers_to_file

BYTES_AT_ONCE = 1 << 28  # of what is made of images that are alive together
ROW_COPIES = (
    9  # of a float32 row of the kernel matrix: itself, and four doubles (converted, scaled, multiplied, squared)
)


UNFINISHED = "unfinished/"  # of names of tensors


class Stage(NamedTuple):
    """A round of a layer that predicts: the layer's number, from 0, and the round."""

    layer: int
    round: Round


@dataclass(frozen=True, eq=False)
class FittedLayers:
    """Fitted layers with all that predictions, reports and files need of the fit. All tensors lie on one device.

    Attributes:
        layers: in order; the last one predicts.
        solver: of every layer's regression.
        x: the training images `(n, c, h, w)`.
        targets: of the regression, `(n, k)`.
        weights: of the training images, `(n,)`; None for 1.
        history: a record for each round of every candidate.
        unfinished: the layers of every candidate, none of one that has not begun, of a fit among several that was
            interrupted; empty for others.
        judged_on: tells whether another fit would be judged on the same images (`warm_start.judged_on`).
    """

    layers: tuple[FittedLayer, ...]
    solver: Solver
    x: Float[Tensor, "n c h w"]
    targets: Float[Tensor, "n k"]
    weights: Float[Tensor, " n"] | None
    history: list[dict[str, Any]]
    judged_on: str
    unfinished: tuple[tuple[FittedLayer, ...], ...] = ()

    @classmethod
    def of(
        cls,
        problem: Problem,
        layers: tuple[FittedLayer, ...],
        history: list[dict[str, Any]],
        judged_on: str,
        *,
        unfinished: tuple[tuple[FittedLayer, ...], ...],
    ) -> "FittedLayers":
        """What a fit to this problem left."""
        return cls(
            layers,
            problem.solver,
            problem.x,
            problem.y,
            problem.weights,
            history,
            judged_on,
            unfinished,
        )

    @property
    def kept(self) -> Stage:
        """What predicts: the last layer's kept round."""
        return Stage(len(self.layers) - 1, self.layers[-1].kept)

    @property
    def intercept(self) -> Float[Tensor, " k"]:
        """What the outputs have beside the kernel's part."""
        intercept = self.kept.round.intercept
        return self.x.new_zeros(self.targets.shape[1]) if intercept is None else intercept

    @cached_property
    def largest(self) -> float:
        """The largest value of the training images, whatever its sign."""
        return max(abs(float(value)) for value in self.x.aminmax())

    @property
    def features(self) -> list[RandomFeatures]:
        """What leads from each layer to the next."""
        return [layer.features for layer in self.layers if layer.features is not None]

    @full_precision()
    @settled_layout()
    def outputs(self, images: Float[Tensor, "m c h w"], stage: Stage) -> Float[Tensor, "m k"]:
        """The regression's outputs at a stage."""
        number, round_ = stage
        basis = self.solver.basis(self.layers[number].kernel, self._training_images(number), round_.metric)
        parts = self._parts(images, number, basis.entries)
        outputs = torch.cat([basis.outputs(part, round_.coef) for part in parts])
        return outputs if round_.intercept is None else outputs + round_.intercept

    @full_precision()
    @settled_layout()
    def deviations(self, images: Float[Tensor, "m c h w"]) -> Float[Tensor, "m k"]:
        """The standard deviations of new targets, by the Gaussian process whose mean the regression is.

        Raises:
            InputError: where the regression is on random features, whose process is not the kernel's, and where memory does
                not hold the decomposition of the kernel matrix.
        """
        if not isinstance(self.solver, Exact):
            raise InputError(
                "standard deviations are those of the kernel's Gaussian process, which random features only sample. Fit with "
                'solver="exact", or predict without return_std.'
            )
        needed = bytes_of_decomposition(len(self.x), weighted=self.weights is not None)
        free = int(USABLE * free_bytes(self.x.device))
        if "_posterior" not in self.__dict__ and needed > free:
            raise InputError(
                f"standard deviations decompose the kernel matrix of {len(self.x)} images, which takes {size(needed)}, "
                f"and {size(free)} can be used. Fit fewer images, or predict without return_std."
            )
        number, kept = self.kept
        kernel, trained = self.layers[number].kernel, self._training_images(number)
        variances = []
        for part in self._parts(images, number, ROW_COPIES * len(trained)):
            meeting = kernel(part, trained, feature_matrix=kept.metric).to(part)
            variances.append(self._posterior.variance(meeting, kernel.diagonal(part, feature_matrix=kept.metric)))
        return (torch.cat(variances)[:, None] * kept.amplitude.double()).sqrt().to(images)

    @full_precision()
    @settled_layout()
    def feature_maps(self, images: Float[Tensor, "m c _ _"], layer: int) -> Float[Tensor, "m rows cols"]:
        """|M^(1/2) x[u]| at every position of images of any size, under the metric of this layer, from 1.

        Raises:
            InputError: for images of other channels or smaller than a patch, and for a layer that is not there.
        """
        channels = self.x.shape[1]
        if images.shape[1] != channels:
            raise InputError(
                f"the model was fitted to images of {counted(channels, 'channel')}; got {images.shape[1]}."
            )
        if not isinstance(layer, Integral) or layer not in range(1, len(self.layers) + 1):
            raise InputError(f"layer must be an integer from 1 to {len(self.layers)}; got {layer!r}.")
        lengths: Sequence[int] = images.shape[2:]
        for reached in self.layers[:layer]:
            lengths = [reached.kernel.window.output_length(length) for length in lengths]  # refuses images too small
        chosen = self.layers[layer - 1]
        metric, window = chosen.kept.metric, chosen.kernel.window
        root = None if metric is None else psd_factor(metric)
        entries = chosen.kept.patch_entries if root is None else len(root)
        parts = self._parts(images, layer - 1, entries * math.prod(lengths))
        return torch.cat([response_lengths(part, root, window) for part in parts])

    def to_file(self) -> tuple[dict[str, Any], Tensors]:
        """All of it as JSON and tensors."""
        learned, tensors = layers_to_file(self.layers)
        tensors |= {"x_fit": self.x, "targets": self.targets}
        if self.weights is not None:
            tensors["weights"] = self.weights
        unfinished = list[Any]()
        for number, layers in enumerate(self.unfinished):
            if layers is self.layers:
                unfinished.append(None)  # they are there already
                continue
            entries, of_candidate = layers_to_file(layers)
            unfinished.append(entries)
            tensors |= {f"{UNFINISHED}{number}/{name}": tensor for name, tensor in of_candidate.items()}
        others = {"history": self.history, "judged_on": self.judged_on, "unfinished": unfinished}
        return {"layers": learned} | others | self.solver.to_file(), tensors

    @classmethod
    def from_file(cls, learned: dict[str, Any], tensors: Tensors, n_outputs: int | None) -> "FittedLayers":
        """What `to_file` wrote; `n_outputs` is how many there must be, None for any number.

        Raises:
            ValueError: if the tensors do not fit together or are not finite.
            KeyError: if something is missing.
        """
        if not all(tensor.is_floating_point() and bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise ValueError("a tensor holds NaN or infinity, or no floats")
        solver = solver_from_file(learned)
        rows = solver.rows(len(tensors["x_fit"]))
        layers = tuple(layers_from_file(learned["layers"], tensors, rows, n_outputs))
        unfinished = [
            layers
            if entries is None
            else tuple(layers_from_file(entries, _of_candidate(tensors, number), rows, n_outputs))
            for number, entries in enumerate(learned["unfinished"])
        ]
        x, targets, weights = tensors["x_fit"], tensors["targets"], tensors.get("weights")
        if targets.shape != (len(x), layers[-1].kept.coef.shape[1]) or not (
            weights is None or weights.shape == x.shape[:1]
        ):
            raise ValueError(f"targets or weights do not fit {len(x)} images")
        history, judge = learned["history"], str(learned["judged_on"])
        fitted = cls(layers, solver, x, targets, weights, history, judge, tuple(unfinished))
        one = replace(fitted, x=x[:1], targets=targets[:1], weights=None)
        try:
            one._through(one.x, len(layers) - 1)
        except InputError as error:  # images that are too small for the filters
            raise ValueError(str(error)) from error
        if solver.rows(1) is None:  # fails where coefficients are not those of so many features
            for number, layer in enumerate(layers):
                one.outputs(one.x, Stage(number, layer.kept))
        return fitted

    @cached_property
    def _last_images(self) -> Float[Tensor, "n k rows cols"]:
        """The training images as the last layer sees them."""
        return self._through(self.x, len(self.layers) - 1)

    @cached_property
    def _posterior(self) -> GaussianPosterior:
        number, kept = self.kept
        kernel_matrix = self.layers[number].kernel(self._last_images, feature_matrix=kept.metric)
        return GaussianPosterior(kernel_matrix, kept.ridge, self.weights)

    def _training_images(self, number: int) -> Float[Tensor, "n k rows cols"]:
        """The training images as this layer sees them; those of the last layer are kept."""
        return self._last_images if number + 1 == len(self.layers) else self._through(self.x, number)

    def _through(self, images: Tensor, depth: int) -> Float[Tensor, "n k rows cols"]:
        """Images as they arrive after this many layers of random features."""
        for features in self.features[:depth]:
            images = features(images)
        return images

    def _parts(self, images: Tensor, number: int, entries: int) -> Iterator[Float[Tensor, "m k rows cols"]]:
        """Images part by part as this layer sees them: as many as stay within a bound on memory, however many there are.

        Args:
            images: as they are at the first layer.
            number: the layer's, from 0.
            entries: how many numbers will be made of every image of a part, such as a row of the kernel matrix.
        """
        arriving = 2 * self._through(images[:1], number).numel()  # a layer makes new images of those that arrive
        at_once = BYTES_AT_ONCE // ((arriving + entries) * images.element_size())
        for part in images.split(max(1, at_once)):
            yield self._through(part, number)


def _of_candidate(tensors: Tensors, number: int) -> Tensors:
    """The tensors of one of several candidates of a fit that is not finished, as a fit of its own has them."""
    prefix = f"{UNFINISHED}{number}/"
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return own | {"x_fit": tensors["x_fit"]}
