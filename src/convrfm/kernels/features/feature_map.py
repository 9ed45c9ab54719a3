"""From images to random features of a kernel, and from a function of the features to its gradient with respect to patches."""

import functools
import itertools
import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import InputError
from ...maths.patches import unfold_patches
from ...maths.precision import full_precision
from ...maths.psd import psd_power
from ...maths.windows import Window
from ..arrays import Array, accepts_numpy, as_tensor
from ..infinite import InfiniteWidthKernel, of_a_network
from ..layers import GlobalAvgPool
from ..patch_gradients import PatchGradients
from ..patch_kernel import mean_one
from ..ranges import check_coefficients, check_squares, finite
from ..recording import recorded_by_one_thread
from ..threads import in_order, one_torch_thread, share
from ..tiling import blocks
from .random_layers import FeatureDraw, RandomConv, RandomLayer, Signal
from .slope_sum import FEWEST, SlopeSum

ALIVE = 4  # fields of the largest layer that are alive at once, beside what every layer took
BYTES = 8  # of a number, at most
CACHED = 1 << 21  # numbers of a layer's images that a processor's caches hold, and whose memory is used again
STRIP = 3 << 18  # those that some filters of a network's only convolution make of the fewest images, likewise
ALIGNED = 128  # filters: matrix products of other sizes are slower


class FeatureMap:
    """Features phi(x) with phi(x) . phi(z) = K(x, z), but for a random error that falls as 1 / sqrt(n_features).

    They are the activations of a network of the kernel's own architecture with `n_features` random filters in every
    convolution, for the NTK beside their derivative in a random direction of its weights (`random_layers`). Where the readout
    is `Flatten` each position of the last layer has features of its own.

    Cost: a forward pass of that network an image; for the AGOP a backward pass an image and output, or where that costs less
    a product of the derivatives of all filters an image (`slope_sum`).

    Args:
        kernel: NNGP or NTK; its `memory_budget` bounds what is alive beside the features.
        draw: which network.
        like: images of the shape, precision and device of those that come; the training images, where filters are patches.
        feature_matrix: the metric M on patches, `(d, d)`; None for the identity.

    Attributes:
        n_columns: how many numbers an image has.

    Raises:
        InputError: for kernels of no network, whose features are not known here.
    """

    @full_precision()
    @one_torch_thread()
    def __init__(
        self,
        kernel: InfiniteWidthKernel,
        draw: FeatureDraw,
        like: Array,
        feature_matrix: Array | None = None,
    ) -> None:
        architecture = check_drawable(kernel).architecture
        like, root = as_tensor("like", like), None
        if feature_matrix is not None:
            metric = as_tensor("feature_matrix", feature_matrix).to(like.device, torch.float64)
            kernel.metric_factor(like, metric)  # refused unless it is one
            root = psd_power(metric, 0.5)
        self._first, self._hidden = draw.network(architecture, like, root, tangent=kernel.tangent)
        self._readout, self._budget = architecture.readout, kernel.budget_on(like.device)
        self._grids = architecture.grids(*like.shape[-2:])
        self._largest = max(map(math.prod, self._grids))
        self._unfolded: Window | None = None
        self._like = (like.shape[1:], like.dtype, like.device)
        self._on_cpu = like.device.type == "cpu"
        self._pools = isinstance(self._readout, GlobalAvgPool)
        positions = 1 if self._pools else math.prod(self._grids[-1])
        self._scale = self._readout.weight_std / math.sqrt(draw.n_features * positions)
        self._channels = draw.n_features * (1 + kernel.tangent)
        self._reads = self._channels * positions
        self._strips, self._convs = [slice(0, self._channels)], [self._first]
        alone = not kernel.tangent and not any(isinstance(layer, RandomConv) for layer in self._hidden)
        if self._on_cpu and alone:
            self._cut(STRIP // (FEWEST * self._largest))
        self.n_columns = draw.columns(architecture, *like.shape[-2:], tangent=kernel.tangent)

    @accepts_numpy
    def __call__(self, x: Tensor) -> Float[Tensor, "n columns"]:
        """The features of images; raises `InputError` for others than those it is made for."""
        self._check(x)
        out = x.new_full((len(x), self.n_columns), self._readout.bias_std)
        reads = out[:, : self._reads].unflatten(1, (self._channels, -1))

        def fill(blocks_of_images: Iterator[slice]) -> None:
            for rows in blocks_of_images:
                given = self._given(x[rows])
                for strip, conv in zip(self._strips, self._convs, strict=True):
                    last = functools.reduce(_next, self._hidden, conv.forward(given)).together(1)
                    read = last.mean((-2, -1), keepdim=True) if self._pools else last
                    reads[rows, strip] = read.flatten(2) * self._scale

        fitting, together = self._at_once()
        with recorded_by_one_thread(x):
            share(fill, blocks(len(x), together), fitting // together if self._on_cpu else 1)
        return out

    def gradients(self, images: Float[Tensor, "n c h w"], coef: Float[Tensor, "columns k"]) -> PatchGradients:
        """The gradient of `phi(x) @ coef` with respect to every patch of x, each of which counts as a variable of its own.

        Where phi' jumps (ReLU and its kin) the derivative of the tangent features has a density in place of the jump's peak,
        as wide as the filters resolve.
        """
        turned, basis = _basis(self._first.filters)
        quicker = SlopeSum.of(self._first, self._hidden, self._read(coef), self._grids[-1], self._budget)
        return PatchGradients(
            lambda: self._gradient_blocks(images, coef, turned),
            basis,
            1.0,
            functools.partial(quicker, images, turned=turned) if quicker is not None and quicker.pays(images) else None,
        )

    @accepts_numpy
    @one_torch_thread()
    def agop(self, x: Tensor, coef: Tensor, weights: Tensor | None = None) -> Float[Tensor, "d d"]:
        """The average gradient outer product of `phi(x) @ coef` over patches (Eq. 2), as that of a kernel.

        Args:
            x: images at which the gradient is taken.
            coef: `(columns, k)`.
            weights: of the images in the mean, `(n,)`; None for equal ones.
        """
        self._check(x)
        if coef.ndim != 2 or len(coef) != self.n_columns:
            raise InputError(f"coef must be ({self.n_columns}, k), one row for each feature; got {tuple(coef.shape)}.")
        roots = None if weights is None else mean_one(weights, x).sqrt()
        check_coefficients("coef", coef)
        outer_products = self.gradients(x, coef).sum_of_outer_products(roots)
        return finite("the average gradient outer product", outer_products / len(x), x)

    @property
    def rows_at_once(self) -> int:
        """Of how many images the features themselves may be alive."""
        return max(1, self._budget // (BYTES * self.n_columns))

    def blocks(self, n: int, outputs: int = 0) -> list[slice]:
        """So many images at a time as the memory budget has room for, with the gradients of so many outputs."""
        return blocks(n, self._at_once(outputs)[1])

    def _at_once(self, outputs: int = 0) -> tuple[int, int]:
        """Of how many images the memory budget has room for what is alive between layers, and how many a thread takes."""
        field = self._largest * self._strips[0].stop
        patches = self._largest * self._first.filters.shape[1] * (1 + 2 * outputs) if self._unfolded else 0
        numbers = field * (len(self._hidden) + 1 + ALIVE * (1 + outputs)) + self.n_columns + patches
        fitting = max(1, self._budget // (BYTES * numbers))
        cached = FEWEST if self._unfolded else max(FEWEST, CACHED // field)
        return fitting, min(fitting, cached) if self._on_cpu else fitting

    def _check(self, images: Float[Tensor, "n c h w"]) -> None:
        got, wanted = (images.shape[1:], images.dtype, images.device), self._like
        if got != wanted:
            raise InputError(f"these features are of images {_described(wanted)}; got {_described(got)}.")
        check_squares("x", images, 1.0)

    def _read(self, coef: Float[Tensor, "columns k"]) -> Float[Tensor, "k r rows cols"]:
        """What each output reads the last layer with at every position, or where that is averaged its mean."""
        read = (coef[: self._reads].T * self._scale).unflatten(1, (self._channels, -1))
        return read.unflatten(-1, (1, 1) if self._pools else self._grids[-1])

    def _read_back(self, coef: Float[Tensor, "columns k"]) -> Signal:
        """The adjoints of what comes out of the last layer, the same for all images."""
        read, grid = self._read(coef), self._grids[-1]
        if self._pools:
            read = read.expand(-1, -1, *grid) / math.prod(grid)
        return Signal(*read.unsqueeze(0).chunk(1 if self._first.direction is None else 2, 2))

    def _gradient_blocks(
        self, images: Float[Tensor, "n c h w"], coef: Float[Tensor, "columns k"], turned: Float[Tensor, "s r"] | None
    ) -> Iterator[Float[Tensor, "positions n k _"]]:
        """Gradients with respect to the patches, or to their coordinates in the basis of `_basis`."""
        seed = self._read_back(coef)
        onto = [conv.filters.T if turned is None else turned.to(images) for conv in self._convs]

        def of(rows: slice) -> Float[Tensor, "positions n k _"]:
            given = self._given(images[rows])
            parts = (
                self._through_strip(given, seed, *of_strip)
                for of_strip in zip(self._strips, self._convs, onto, strict=True)
            )
            return functools.reduce(Tensor.add_, parts).permute(3, 0, 1, 2)

        fitting, together = self._at_once(coef.shape[1])
        with one_torch_thread() as threads:  # which make as many blocks at a time as memory has room for
            at_a_time = min(threads, fitting // together) if self._on_cpu else 1
        whole = blocks(len(images), together)
        for some in blocks(len(whole), at_a_time):
            yield from in_order(of, whole[some])

    def _through_strip(
        self, given: Signal, seed: Signal, strip: slice, conv: RandomConv, onto: Float[Tensor, "s r"]
    ) -> Float[Tensor, "n k s positions"]:
        """Gradients through some filters of the first convolution, with respect to what they put out times a matrix."""
        n = len(given.value)
        bar = seed.mapped(lambda read: read[:, :, strip].expand(n, -1, -1, -1, -1))
        signals = list(itertools.accumulate(self._hidden, _next, initial=conv.forward(given)))
        for layer, signal in zip(reversed(self._hidden), reversed(signals[:-1]), strict=True):
            bar = layer.backward(signal, bar)
        return onto @ bar.together(2).flatten(-2)

    def _cut(self, fitting: int) -> None:
        """The filters of the only convolution in strips of about so many, and of no fewer than a patch has entries."""
        strips = blocks(self._channels, max(self._first.filters.shape[1], fitting // ALIGNED * ALIGNED))
        if len(strips) > 1:
            self._strips, self._convs = strips, [self._first.on_patches(strip) for strip in strips]
            self._unfolded = self._first.window

    def _given(self, images: Float[Tensor, "n c h w"]) -> Signal:
        """What the first convolution takes: images, or their patches where its filters are cut into strips."""
        return Signal(images if self._unfolded is None else unfold_patches(images, self._unfolded))


def _basis(filters: Float[Tensor, "r d"]) -> tuple[Float[Tensor, "r r"] | None, Float[Tensor, "r d"] | None]:
    """Where filters are fewer than entries of a patch, what turns gradients with respect to what they put out into an
    orthonormal basis of their span, in double, and that basis.

    What the filters' gradients add up to may be far smaller than they are; in that basis nothing cancels any more.
    """
    if len(filters) > filters.shape[1]:
        return None, None
    left, lengths, basis = torch.linalg.svd(filters.double(), full_matrices=False)
    return (left * lengths).T, basis.to(filters)


def _described(like: tuple[torch.Size, torch.dtype, torch.device]) -> str:
    shape, dtype, device = like
    return f"{' x '.join(map(str, shape))} in {str(dtype).removeprefix('torch.')} on {device}"


def _next(signal: Signal, layer: RandomLayer) -> Signal:
    return layer.forward(signal)


def check_drawable(kernel: object) -> InfiniteWidthKernel:
    """The kernel, if it is one of a network; raises `InputError` otherwise."""
    return of_a_network(
        kernel,
        f"random features are drawn from a network's architecture; {type(kernel).__name__} has none. Pass NNGP or NTK for a "
        'kernel, or solver="exact".',
    )
