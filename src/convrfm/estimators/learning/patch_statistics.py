"""What is learned of the training patches without a label: the contrast to which they are brought, and their whitening."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...datasets import check_unmasked
from ...errors import InputError
from ...kernels.architecture import Architecture
from ...kernels.infinite import InfiniteWidthKernel, of_a_network
from ...kernels.recursion.recursion import Images
from ...kernels.threads import one_torch_thread
from ...maths.patches import unfold_patches
from ...maths.psd import psd_factor, psd_power, scale_to_trace
from ...maths.windows import Window
from ..given.arrays import Array
from ..solving.solver import LearnableKernel, Metric, Weights

PatchNormalization = Literal["contrast"] | None
InitialMetric = Literal["identity", "whitening"] | Array
CONTRAST_SHARE = 0.01  # of the mean variance of patches: flat ones are not blown up to noise
WHITENING_SHARE = 0.1  # of the mean eigenvalue, added to each: directions in which patches hardly vary are mostly noise
NUMBERS_AT_ONCE = 2**19  # of unfolded patches: what a processor's caches hold


@one_torch_thread()
def of_one_contrast(kernel: LearnableKernel, x: Images, weights: Weights) -> InfiniteWidthKernel:
    """The kernel on patches less their mean, over the root of their variance plus a share of its mean over training patches.

    Patches count with the weights of their images. No label is used, and folds share this one number.

    Raises:
        InputError: for kernels that are no NNGP or NTK, and where all images are flat.
    """
    network = without_contrast(kernel)
    plain = network.architecture.first
    variance = _mean_over_patches(x, plain.window, weights, _variances)
    if not variance > 0:
        raise InputError(
            "patches of one value have no contrast: all training images are flat. Check how they were read."
        )
    fitted = replace(plain, contrast=CONTRAST_SHARE * float(variance))
    return replace(network, architecture=Architecture(fitted, *network.architecture.layers[1:]))


def without_contrast(kernel: LearnableKernel) -> InfiniteWidthKernel:
    """The kernel on patches as they are; raises `InputError` for one of no network."""
    network = check_contrastable(kernel)
    plain = replace(network.architecture.first, contrast=None)
    return replace(network, architecture=Architecture(plain, *network.architecture.layers[1:]))


def check_contrastable(kernel: LearnableKernel) -> InfiniteWidthKernel:
    """The kernel, if it is an NNGP or NTK; raises `InputError` for others, whose patches are always taken as they are."""
    return of_a_network(
        kernel,
        f'patch_normalization="contrast" is for NNGP and NTK; {type(kernel).__name__} sees patches as they are. Pass one of '
        "these kernels, or patch_normalization=None.",
    )


@one_torch_thread()
def first_metric(initial: InitialMetric, x: Images, weights: Weights, window: Window, trace: float | None) -> Metric:
    """M at round 0.

    Args:
        initial: "identity"; "whitening" for the inverse covariance of the training patches, regularized; or M itself.
        x: the training images.
        weights: of the images.
        window: that cuts them into patches.
        trace: of M; None for d.

    Raises:
        InputError: for a metric of another size, or none, and where patches that do not vary are to be whitened.
    """
    if isinstance(initial, str) and initial == "identity":
        return None
    d = x.shape[1] * window.size**2
    if isinstance(initial, str):
        means = _mean_over_patches(
            x, window, weights, lambda patches: torch.cat([patches @ patches.T, patches.sum(1, keepdim=True)], 1)
        )
        square, mean = means[:, :-1], means[:, -1]
        covariance = square - mean.outer(mean)
        spread = covariance.trace() / d
        if not spread > 8 * torch.finfo(spread.dtype).eps * square.trace() / d:
            raise InputError(
                'initial_metric="whitening" needs patches that vary; all patches of the training images (with cv, of those '
                'that a fold learns from) are alike. Pass initial_metric="identity", other folds, or images that are not flat.'
            )
        metric = psd_power(covariance + WHITENING_SHARE * spread * torch.eye(d).to(covariance), -1.0)
    else:
        metric = _as_numbers(initial).to(x.device)
        if metric.shape != (d, d):
            raise InputError(f"initial_metric must be ({d}, {d}) for these patches; got {tuple(metric.shape)}.")
        factor = psd_factor(metric, "initial_metric")
        if not metric.trace() > 0:
            raise InputError("initial_metric must have a positive trace; all of it is 0.")
        # Without what the rounding of single precision made of it, which in double would be more than rounding.
        metric = factor.T @ factor if len(factor) < d else (metric + metric.T) / 2
    scaled = scale_to_trace(metric, float(d) if trace is None else trace).to(x)
    return None if torch.equal(scaled, torch.eye(d).to(x)) else scaled


def check_initial_metric(initial: object) -> None:
    """Raise `InputError` unless it is a name of a metric, or an array."""
    if isinstance(initial, str) and initial in ("identity", "whitening"):
        return
    if not isinstance(initial, np.ndarray | Tensor | Sequence) or isinstance(initial, str):
        raise InputError(f'initial_metric must be "identity", "whitening", or a (d, d) array; got {initial!r}.')


def _variances(patches: Float[Tensor, "d m"]) -> Float[Tensor, ""]:
    """Of every patch, added up."""
    return (patches - patches.mean(0)).square_().mean(0).sum()


def _as_numbers(initial: object) -> Float[Tensor, "*shape"]:
    """A given metric in double precision; raises `InputError` for what is no array of real numbers."""
    check_unmasked(initial, "initial_metric")
    try:
        values = np.asarray(initial.detach().cpu() if isinstance(initial, Tensor) else initial)
        return torch.from_numpy(values.astype(float, casting="same_kind"))
    except (TypeError, ValueError) as error:
        raise InputError(f"initial_metric must be an array of real numbers; {error}.") from error


def _mean_over_patches(
    x: Images, window: Window, weights: Weights, total: Callable[[Float[Tensor, "d m"]], Tensor]
) -> Tensor:
    """The mean over all patches of what `total` adds up over some, in double precision."""
    positions = window.output_length(x.shape[2]) * window.output_length(x.shape[3])
    at_once = max(1, NUMBERS_AT_ONCE // (positions * x.shape[1] * window.size**2))
    sums: Tensor | None = None
    for rows in torch.arange(len(x), device=x.device).split(at_once):
        patches = unfold_patches(x[rows], window).flatten(2).double()
        for number, of_image in zip(rows, patches, strict=True):
            weighted = total(of_image) * (1.0 if weights is None else weights[number])
            sums = weighted if sums is None else sums + weighted
    assert sums is not None
    return sums / (positions * (len(x) if weights is None else weights.sum()))
