"""The recursion of a convolutional kernel, and what of it belongs to one image alone.

Every pair of images passes through the same layers; only the variances of each image with itself enter from outside.
`embed` prepares a batch of images for meeting others; `pull_back_variances` takes adjoints of those variances back to
the image's own patches (design: the norms' recursion does not depend on the partner, so it runs once per image).
"""

from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float
from torch import Tensor

from ...maths.patches import filter_patches, unfold_patches
from ...maths.window_means import window_mean, window_mean_transpose
from ..architecture import Architecture
from ..layers import AvgPool, Conv
from .geometry import Channels, Field, Geometry, geometry_of

Images = Float[Tensor, "n c h w"]


@dataclass(frozen=True)
class Recursion:
    """An architecture and which of its two kernels is meant: `tangent` for the NTK, otherwise the NNGP."""

    architecture: Architecture
    tangent: bool

    @cached_property
    def geometry(self) -> Geometry:
        """Which pairs of positions are kept."""
        return geometry_of(self.architecture)


@dataclass(frozen=True, eq=False)
class Embedding:
    """A batch of images, ready to meet another.

    Attributes:
        images: `(n, c, h, w)`.
        patches: `(n, r, rows, cols)`, every patch times a factor L with L^T L = M; None where M is the identity and no
            gradient is asked for (then window sums of pixel products replace it).
        variances: for every activation, `(n, rows, cols)`: the covariance of each position with itself before it.
    """

    images: Images
    patches: Channels | None
    variances: list[Float[Tensor, "n _ _"]]

    @property
    def contracted(self) -> Channels:
        """The patches with which adjoints are contracted."""
        assert self.patches is not None
        return self.patches

    def patches_of(self, rows: slice) -> Float[Tensor, "positions n r"]:
        """The same at some rows of positions."""
        return self.contracted[:, :, rows].permute(2, 3, 0, 1).flatten(0, 1)

    def part(self, rows: slice) -> "Embedding":
        """Some of the images."""
        patches = None if self.patches is None else self.patches[rows]
        return Embedding(self.images[rows], patches, [q[rows] for q in self.variances])


def embed(
    recursion: Recursion, images: Images, factor: Float[Tensor, "r d"] | None, *, with_patches: bool
) -> Embedding:
    """Meet the images with the metric's factor and run each one's recursion with itself."""
    window = recursion.architecture.first.window
    patches = None
    if factor is not None:
        patches = filter_patches(images, factor, window)
    elif with_patches:
        patches = unfold_patches(images, window)
    own = own_first_covariance(recursion, Embedding(images, patches, []))
    geometry = recursion.geometry
    return Embedding(images, patches, [geometry.variances(S).clone() for S in own_inputs(recursion, own)])


def first_covariance(recursion: Recursion, x: Embedding, z: Embedding) -> Field:
    """The covariance after the first convolution, of x with z."""
    return _convolved(recursion, x, recursion.geometry.products(_met(x), _met(z)))


def own_first_covariance(recursion: Recursion, x: Embedding) -> Field:
    """The covariance after the first convolution of every image of x with itself; asks nothing of x's variances."""
    return _convolved(recursion, x, recursion.geometry.own_products(_met(x)))


def patch_entries(recursion: Recursion, images: Images) -> int:
    """d = c q q, the number of entries of a patch."""
    return images.shape[1] * recursion.architecture.patch_size**2


def own_inputs(recursion: Recursion, S: Field) -> list[Field]:
    """Every image's own field in front of each activation, from that after the first convolution."""
    geometry = recursion.geometry
    inputs: list[Field] = []
    for layer in recursion.architecture.hidden:
        if isinstance(layer, Conv):
            S = affine_window_mean(S, layer, geometry)
        elif isinstance(layer, AvgPool):
            S = window_mean(S, layer.window, geometry.pools)
        else:
            inputs.append(S)
            S, _ = geometry.own_dual(layer, S)
    return inputs


def own_kernel(recursion: Recursion, S: Field) -> Float[Tensor, " n"]:
    """K(x, x) of every image from its own field after the first convolution, with no arc cosine to round near 1."""
    geometry, readout = recursion.geometry, recursion.architecture.readout
    T = S
    for layer in recursion.architecture.hidden:
        if isinstance(layer, Conv):
            S = affine_window_mean(S, layer, geometry)
            T = S + layer.weight_std**2 * window_mean(T, layer.window, geometry.windows)
        elif isinstance(layer, AvgPool):
            S, T = (window_mean(field, layer.window, geometry.pools) for field in (S, T))
        else:
            S, k0 = geometry.own_dual(layer, S)
            T = T * k0
    field = S + T if recursion.tangent else S
    return geometry.mean(field, readout) * readout.weight_std**2 + readout.bias_std**2


def pull_back_variances(
    recursion: Recursion,
    x: Embedding,
    variance_adjoints: list[Float[Tensor, "n k _ _"]],
    total: Float[Tensor, "positions n k r"],
) -> None:
    """Add the gradients with respect to the embedded patches that flow through each image's own variances.

    Args:
        recursion: the kernel's recursion.
        x: the embedded images.
        variance_adjoints: the adjoint of every entry of `x.variances`, for each of k outputs.
        total: what is added to, without the first layer's factor weight_std^2 / d.
    """
    weights = own_weights(recursion, x, variance_adjoints)
    if weights is not None:
        recursion.geometry.add_own_contraction(weights, x.contracted, total)


def own_weights(recursion: Recursion, x: Embedding, variance_adjoints: list[Float[Tensor, "n k _ _"]]) -> Field | None:
    """What each image's own patches count in its gradients, `(n, k, *positions)`; None for a linear network: nothing."""
    geometry, hidden = recursion.geometry, recursion.architecture.hidden
    inputs = x.variances
    if recursion.architecture.couples_positions:
        inputs = own_inputs(recursion, own_first_covariance(recursion, x))
    grids = recursion.architecture.grids(*x.images.shape[-2:])
    bar: Tensor | None = None
    for layer, lengths in zip(reversed(hidden), reversed(grids[: len(hidden)]), strict=True):
        if isinstance(layer, Conv | AvgPool):
            if bar is not None:
                bar = transposed_layer(bar, layer, geometry, lengths)
            continue
        own, seed = inputs[-1][:, None], variance_adjoints[-1]
        inputs, variance_adjoints = inputs[:-1], variance_adjoints[:-1]
        if bar is None:
            bar = own.new_zeros((*seed.shape[:2], *own.shape[2:]))
        else:
            bar = geometry.own_pullback(layer, own, bar)
        geometry.variances(bar).add_(seed)
    return None if bar is None else 2 * bar


def affine_window_mean(field: Field, conv: Conv, geometry: Geometry) -> Field:
    """A convolution's effect on a covariance: weight_std^2 times the window mean, plus bias_std^2."""
    return window_mean(field, conv.window, geometry.windows).mul_(conv.weight_std**2).add_(conv.bias_std**2)


def transposed_layer(bar: Field, layer: Conv | AvgPool, geometry: Geometry, grid: tuple[int, int]) -> Field:
    """The adjoint of a field before a convolution or a pooling, from that after it; `grid` is the one before."""
    groups = geometry.windows if isinstance(layer, Conv) else geometry.pools
    lengths = [grid[(axis % 2)] for axis, *_ in groups]
    spread = window_mean_transpose(bar, layer.window, groups, lengths)
    return spread.mul_(layer.weight_std**2) if isinstance(layer, Conv) else spread


def _met(x: Embedding) -> Channels:
    """What the first products are taken of."""
    return x.images if x.patches is None else x.patches


def _convolved(recursion: Recursion, x: Embedding, products: Field) -> Field:
    """The first convolution's covariance from inner products of patches, or of pixels."""
    geometry, conv = recursion.geometry, recursion.architecture.first
    if x.patches is not None:
        products *= conv.weight_std**2 / patch_entries(recursion, x.images)
    else:
        products = window_mean(products, conv.window, geometry.windows)
        products *= conv.weight_std**2 / x.images.shape[1]
    return products.add_(conv.bias_std**2)
