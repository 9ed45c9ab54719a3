"""What the figures on edge detectors share: the metrics that ConvRFM learns, and what they are compared with."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from ..estimators import ConvRFMClassifier
from ..kernels import NTK, Laplace, PatchKernel, vanilla
from ..maths.patches import unfold_patches
from ..maths.similarity import similarity
from ..maths.windows import Window
from .small_data.images import LabeledImages

KERNELS: Mapping[str, PatchKernel] = {"NTK, q = 3": NTK(vanilla(2, 3)), "Laplace, q = 7": Laplace(7, 10.0)}
WANTED = (
    "a folder with cifar10/, gtsrb32/ (atlases train_00.png, ... of 50 x 40 tiles, and labels) and imagenet_photos/."
)


def learned_metric(
    train: LabeledImages, kernel: PatchKernel, updates: int, agop_samples: int, device: str
) -> Float[Tensor, "d d"]:
    """M after this many updates, each from gradients at so many of the training images, in double precision."""
    samples = min(agop_samples, len(train.y))
    model = ConvRFMClassifier(kernel, n_iterations=updates, agop_samples=samples, keep="last", device=device)
    return torch.as_tensor(model.fit(train.x, train.y).feature_matrix_, dtype=torch.float64)


def patch_covariance(x: Float32[np.ndarray, "n c h w"], window: Window) -> Float[Tensor, "d d"]:
    """Of the patches of these images, uncentered, times their number."""
    patches = unfold_patches(torch.from_numpy(x).double(), window).movedim(1, -1).flatten(0, -2)
    return patches.T @ patches


def blind_to_means(metric: Float[Tensor, "d d"], channels: int) -> Float[Tensor, "d d"]:
    """What the matrix is on patches less the mean of each of their channels."""
    entries = len(metric) // channels
    means = torch.block_diag(*[torch.full((entries, entries), 1 / entries)] * channels)
    return metric - metric @ means.to(metric)


def turned(metric: Float[Tensor, "d d"], turn: int) -> Float[Tensor, "d d"]:
    """The same spectrum in random directions."""
    noise = torch.randn(metric.shape, generator=torch.Generator().manual_seed(turn), dtype=metric.dtype)
    rotation = torch.linalg.qr(noise).Q
    return rotation @ metric @ rotation.T


def correlations(first: Float[Tensor, "n rows cols"], second: Float[Tensor, "n rows cols"]) -> list[float]:
    """Pearson's, over positions, of two maps of every image."""
    return [float(similarity(a, b).pearson) for a, b in zip(first, second, strict=True)]
