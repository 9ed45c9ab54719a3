"""The kernels of `vanilla` networks as one would write them in torch in an afternoon: a baseline, nothing more."""

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, unfold

from .tiled import kernel_matrix

Q = 3


def kernel(x: Tensor, z: Tensor | None, depth: int, root: Tensor | None = None, *, tangent: bool = True) -> Tensor:
    """The NTK, or NNGP, of [Conv(3), ReLU] * depth and Flatten.

    Args:
        x: images `(n, c, h, w)`.
        z: images `(m, c, h, w)`, or None for x.
        depth: number of convolutions.
        root: `(d, d)` with root^T root = M; None for the identity.
        tangent: whether the NTK is meant.
    """
    x_patches, x_variances = _patches_and_variances(x, root, depth)
    z_patches, z_variances = (x_patches, x_variances) if z is None else _patches_and_variances(z, root, depth)
    rows, cols = x_variances[0].shape[1:]

    def tile(i: slice, j: slice) -> Tensor:
        S = T = torch.einsum("pid,pjd->ijp", x_patches[:, i], z_patches[:, j]).unflatten(2, (rows, cols))
        for layer, (qx, qz) in enumerate(zip(x_variances, z_variances, strict=True)):
            if layer:
                S = _window_mean(S)
                T = S + _window_mean(T) if tangent else T
            norm = (qx[i, None] * qz[j]).sqrt()
            r = (S / norm).clamp(-1, 1)
            k0 = 1 - r.acos() / math.pi
            S = norm * (1 - r * r).sqrt() / math.pi + S * k0
            if tangent:
                T = T * k0
        return (S + T if tangent else S).mean((2, 3))

    return kernel_matrix(tile, len(x), None if z is None else len(z))


def _patches_and_variances(x: Tensor, root: Tensor | None, depth: int) -> tuple[Tensor, list[Tensor]]:
    """Every patch times the metric's root `(positions, n, d)`, over sqrt(d); each layer's variances `(n, rows, cols)`."""
    patches = unfold(x, Q)
    if root is not None:
        patches = root @ patches
    patches = patches / math.sqrt(patches.shape[1])
    variances = [patches.square().sum(1).unflatten(1, (x.shape[2] - Q + 1, -1))]
    for _ in range(depth - 1):
        variances.append(_window_mean(variances[-1]))
    return patches.permute(2, 0, 1).contiguous(), variances


def _window_mean(field: Tensor) -> Tensor:
    return avg_pool2d(field, Q, stride=1)
