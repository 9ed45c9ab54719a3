"""A convolutional kernel in GPyTorch: `PatchKernelGP`, for Gaussian processes on flattened images."""

import math

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, MissingDependencyError
from .patch_kernel import PatchKernel

try:
    from gpytorch.kernels import Kernel
except ImportError as error:
    raise MissingDependencyError('this needs GPyTorch: pip install "convrfm[gp]".') from error


class PatchKernelGP(Kernel):
    """A kernel of `convrfm.kernels` as a GPyTorch kernel on flattened images.

    Wrap it in `gpytorch.kernels.ScaleKernel` to learn an output scale. The kernel itself has no parameters to learn; its
    gradients with respect to images and metric flow.

    Args:
        kernel: any of `convrfm.kernels`.
        image_shape: `(c, h, w)`; inputs are `(..., n, c h w)`.
        feature_matrix: the metric M on patches, `(d, d)`, such as a fitted estimator's; None for the identity.
        active_dims: the columns of the inputs that are the flattened images, in their order; None for all.

    Raises:
        MissingDependencyError: on import, where GPyTorch is not installed.
        InputError: on inputs or columns that are not flattened images of that shape.
    """

    has_lengthscale = False

    def __init__(
        self,
        kernel: PatchKernel,
        image_shape: tuple[int, int, int],
        feature_matrix: Tensor | np.ndarray | None = None,
        active_dims: tuple[int, ...] | None = None,
    ) -> None:
        entries = math.prod(image_shape)
        if active_dims is not None and len(active_dims) != entries:
            raise InputError(
                f"active_dims must be the {entries} columns that are images {image_shape}, flattened; got {len(active_dims)}."
            )
        super().__init__(active_dims=active_dims)
        self.kernel, self.image_shape = kernel, image_shape
        self.register_buffer("feature_matrix", None if feature_matrix is None else torch.as_tensor(feature_matrix))

    def forward(
        self, x1: Tensor, x2: Tensor, diag: bool = False, last_dim_is_batch: bool = False, **_: object
    ) -> Tensor:
        """The kernel matrix `(..., n, m)`, or for `diag` the values of pairs `(..., n)`."""
        if last_dim_is_batch:
            raise InputError(
                "a convolutional kernel does not split into one kernel for each pixel (last_dim_is_batch)."
            )
        if max(x1.ndim, x2.ndim) > 2:
            shape = torch.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
            left, right = (x.expand(*shape, *x.shape[-2:]).flatten(0, -3) for x in (x1, x2))
            batch = torch.stack([self.forward(a, b, diag) for a, b in zip(left, right, strict=True)])
            return batch.reshape(*shape, *batch.shape[1:])
        a, b = self._images(x1), self._images(x2)
        metric = self.feature_matrix
        if x1 is x2 or (not (a.requires_grad or b.requires_grad) and torch.equal(a, b)):
            own = self.kernel.diagonal if diag else self.kernel
            return own(a, feature_matrix=metric)
        if diag:
            values = [
                self.kernel(p, q, feature_matrix=metric)[0, 0] for p, q in zip(a.split(1), b.split(1), strict=True)
            ]
            return torch.stack(values)
        return self.kernel(a, b, feature_matrix=metric)

    def _images(self, x: Tensor) -> Tensor:
        entries = math.prod(self.image_shape)
        if x.ndim != 2 or x.shape[1] != entries:
            raise InputError(
                f"inputs must be (n, {entries}), images {self.image_shape} flattened; got {tuple(x.shape)}."
            )
        return x.reshape(-1, *self.image_shape)
