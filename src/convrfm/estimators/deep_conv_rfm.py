"""Deep ConvRFM (Algorithm 2 of the paper) as scikit-learn estimators on images."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from typing_extensions import override

from ..errors import InputError
from ..kernels import vanilla_ntk
from ..maths.random_filters import CENTERINGS, Centering, Nonlinearity
from .classification import Classifier
from .given.arrays import Array
from .kept.fitted_layers import Stage
from .learning.plan import Candidates
from .learning.starts import FilterDraw
from .machine import RecursiveFeatureMachine
from .regression import Regressor
from .settings import check_choice, check_count, check_kernel, several
from .solving.solver import LearnableKernel

KernelFamily = Callable[[int], LearnableKernel]


@dataclass(frozen=True)
class FittedFamily:
    """The kernels of a fitted model as a family: what a loaded model has for its `kernel_family`."""

    kernels: tuple[LearnableKernel, ...]

    def __call__(self, depth: int) -> LearnableKernel:
        """The kernel of this depth."""
        if not 1 <= depth <= len(self.kernels):
            raise InputError(
                f"a loaded model knows its kernels up to depth {len(self.kernels)}; got {depth}. Pass kernel_family too, such "
                "as kernels.vanilla_ntk."
            )
        return self.kernels[-depth]


@dataclass(eq=False, repr=False)
class DeepConvRFM(RecursiveFeatureMachine):
    """Layers of rounds, joined by random features drawn from the learned metrics."""

    kernel_family: KernelFamily | Sequence[KernelFamily] = vanilla_ntk
    _: KW_ONLY
    depth: int | Sequence[int] = 3
    n_filters: int = 64
    activation: Nonlinearity = "relu"
    centering: Centering | Literal["loo"] = "loo"

    _deep: ClassVar[bool] = True

    @property
    @override
    def stages_(self) -> list[Stage]:
        """The fixed kernel, then every layer's kept round."""
        kept = [Stage(number, layer.kept) for number, layer in enumerate(self.layers_)]
        return [Stage(0, self.layers_[0].rounds[0]), *kept]

    @property
    def kernels_(self) -> list[LearnableKernel]:
        """The kernel of every layer."""
        return [layer.kernel for layer in self.layers_]

    @property
    def best_iterations_(self) -> list[int]:
        """The kept round of every layer."""
        return [layer.kept.iteration for layer in self.layers_]

    @property
    def feature_matrices_(self) -> list[Array]:
        """M of every layer, `(d, d)` each."""
        return [self._as_given(layer.kept.feature_matrix) for layer in self.layers_]

    @property
    def filters_(self) -> list[Array]:
        """`(n_filters, d)` between layers."""
        return [self._as_given(features.filters) for features in self.fitted_.features]

    @property
    def centerings_(self) -> list[Centering]:
        """How the features between layers are centered."""
        return [features.centering for features in self.fitted_.features]

    @property
    def feature_means_(self) -> list[Array | None]:
        """`(n_filters,)` between layers; None where features are not centered."""
        means = [features.mean for features in self.fitted_.features]
        return [None if mean is None else self._as_given(mean) for mean in means]

    @override
    def _candidates(self, shape: Sequence[int]) -> Candidates:
        check_count("n_filters", self.n_filters)
        check_choice("activation", self.activation, ("relu", None))
        check_choice("centering", self.centering, ("loo", *CENTERINGS))
        depths = several("depth", self.depth)
        for depth in depths:
            check_count("depth", depth)
        if max(depths) > 1 and (self.centering, self.n_filters, self.activation) == ("proportional", 1, "relu"):
            raise InputError(
                'centering="proportional" leaves nothing of one filter behind a ReLU: its output is its own length. Pass '
                "more filters, or another centering."
            )
        families = several("kernel_family", self.kernel_family)
        return [_kernels(family, depth, shape) for family in families for depth in depths]

    @override
    def _draw(self, seed: int) -> FilterDraw:
        seeds = np.random.SeedSequence(seed).spawn(max(several("depth", self.depth)))
        centerings = CENTERINGS if self.centering == "loo" else (self.centering,)
        return FilterDraw(self.n_filters, self.activation, centerings, seeds)

    @staticmethod
    @override
    def _parameters_of(kernels: Sequence[LearnableKernel]) -> dict[str, Any]:
        return {"kernel_family": FittedFamily(tuple(kernels)), "depth": len(kernels)}


@dataclass(eq=False, repr=False)
class DeepConvRFMClassifier(Classifier, DeepConvRFM):
    """Deep ConvRFM: layer by layer, ConvRFM, then random features drawn from the metric that it learned.

    Layer l is ConvRFM with the kernel `kernel_family(depth - l + 1)` on the images as they arrive there. Its kept metric M
    gives `n_filters` filters, M^(1/2) times standard normal vectors; activation(filters * x), centered, are the images of
    the next layer (Algorithm 2 of the paper, where the kernel loses a layer whenever the features gain one; the paper does
    not center them). The last layer's regression predicts. Every layer's centering and round are chosen greedily by
    leave-one-out, as in `ConvRFMClassifier`; from the second layer on it is optimistic in every round, round 0 too, because
    the features were drawn from a metric that has seen every label. The fewer images, the more: with tens of them pass `cv`,
    whose folds learn and draw layers of their own.

    Cost: that of `depth` ConvRFMs; from the second layer on a patch has d = n_filters q^2 entries, and the first layer's
    products (d numbers for each position and pair) dominate. Every way of centering that is tried takes one more kernel matrix
    and its decomposition a layer. Memory: the transformed images of one layer, n n_filters h w numbers, beside the kernel
    matrix; those of two layers while ways of centering are tried, of the further one twice.

    Args:
        kernel_family: from a depth to a kernel, such as `kernels.vanilla_ntk`; or several: the best is kept.
        depth: how many layers; or several: the best is kept.
        n_filters: filters of each layer.
        activation: "relu", or None.
        centering: how the features f at a position are centered, by means over training images and positions: outputs of a
            ReLU lean to one side, so that all of their patches resemble each other. "mean": f - E f. "proportional":
            f - |f| E f / E |f|, which treats dark and bright patches alike. None: not. "loo": the best of the three, each
            tried with the next layer's fixed kernel, by whatever chooses the rounds (leave-one-out, cross-validation or a
            selection set).
        random_state: seed of all draws: of the filters, layer by layer, of `agop_samples`, of random features, and of what
            "cg" draws.

    The other parameters are those of `ConvRFMClassifier`, for every layer.

    Attributes:
        feature_matrices_: M of every layer, `(d, d)` each.
        filters_: `(n_filters, d)` between layers, with patches flattened as `Conv2d.weight.reshape(k, -1)`.
        centerings_: "mean", "proportional" or None between layers.
        feature_means_: `(n_filters,)` between layers: E f, or E f / E |f|; None where features are not centered.
        best_iterations_: the kept round of every layer.
        kernels_: the kernel of every layer.
        layers_: every layer with all of its rounds; `stages_`: the fixed kernel and the kept rounds, in the order of
            `staged_outputs`.
        fitted_: all that the fit left, as tensors on its device.
        dual_coef_, ridge_: of the last layer's kept round.
        history_: as in `ConvRFMClassifier`; a record has its layer, from 1, and that of a further layer's round 0 what every
            way of centering reached ("centerings").
        temperature_, classes_, x_fit_, preprocessing_: as in `ConvRFMClassifier`.

    Example:
        >>> from convrfm import datasets
        >>> x, y = datasets.star(20, generator=np.random.default_rng(0))
        >>> model = DeepConvRFMClassifier(depth=2, n_filters=8, n_iterations=1).fit(x, y)
        >>> [m.shape for m in model.feature_matrices_]
        [(27, 27), (72, 72)]
    """


@dataclass(eq=False, repr=False)
class DeepConvRFMRegressor(Regressor, DeepConvRFM):
    """Deep ConvRFM for targets `(n,)` or `(n, k)`; see `DeepConvRFMClassifier` and `ConvRFMRegressor`."""


def _kernels(family: KernelFamily, depth: int, shape: Sequence[int]) -> tuple[LearnableKernel, ...]:
    """The kernel of every layer; raises `InputError` where the images become too small."""
    if not callable(family) or hasattr(family, "agop"):
        raise InputError(
            f"kernel_family must take a depth and give a kernel, such as kernels.vanilla_ntk; got {family!r}."
        )
    kernels = []
    height, width = shape[-2:]
    for number in range(1, depth + 1):
        kernel = family(depth - number + 1)
        check_kernel(kernel)
        try:
            kernel.check_image_size(height, width)
            height, width = (kernel.window.output_length(length) for length in (height, width))
        except InputError as error:
            raise InputError(
                f"images of {shape[-2]} x {shape[-1]} cannot carry depth {depth}: layer {number} gets {height} x {width}. "
                f"Use a smaller depth. {error.sentence}"
            ) from error
        kernels.append(kernel)
    return tuple(kernels)
