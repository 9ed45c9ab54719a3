"""Small problems, cheap settings, and the algorithms once more in plain loops."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from convrfm import ConvRFMClassifier, ConvRFMRegressor, DeepConvRFMClassifier, DeepConvRFMRegressor, kernels
from convrfm.kernels.infinite import InfiniteWidthKernel

KERNEL = kernels.NTK(kernels.vanilla(1))
RIDGES = (1e-4, 1e-2, 1e-1, 1.0)
CHEAP: dict[type, dict[str, Any]] = {
    ConvRFMClassifier: {"kernel": KERNEL, "n_iterations": 1},
    ConvRFMRegressor: {"kernel": KERNEL, "n_iterations": 1},
    DeepConvRFMClassifier: {"depth": 2, "n_filters": 5, "n_iterations": 1},
    DeepConvRFMRegressor: {"depth": 2, "n_filters": 5, "n_iterations": 1},
}


def pictures(n: int, seed: int = 0, *, classes: int = 3, noise: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    """Noise `(n, 1, 6, 7)` with a bright line in a column that tells the class."""
    generator = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = noise * generator.standard_normal((n, 1, 6, 7))
    x[np.arange(n), 0, :, 1 + y] += 1
    return x, y


def one_hot(y: np.ndarray) -> np.ndarray:
    return np.eye(int(y.max()) + 1)[y]


def laplace_family(depth: int) -> kernels.Laplace:
    return kernels.Laplace(patch_size=3, bandwidth=4.0 + depth)


def nngp_family(depth: int) -> kernels.NNGP:
    return kernels.NNGP(kernels.vanilla(depth))


def same_padded_family(depth: int) -> kernels.NTK:
    layers = [layer for _ in range(depth) for layer in (kernels.Conv(3, padding="same"), kernels.ReLU())]
    return kernels.NTK(kernels.Architecture(*layers, kernels.Flatten()))


def coefficients(K: np.ndarray, targets: np.ndarray, ridge: float, weights: np.ndarray | None = None) -> np.ndarray:
    noise = ridge / (np.ones(len(K)) if weights is None else weights)
    return np.linalg.solve(K / K.max() + np.diag(noise), targets) / K.max()


def next_metric(
    kernel: Any, x: np.ndarray, z: np.ndarray, coef: np.ndarray, M: np.ndarray | None, weights: np.ndarray | None = None
) -> np.ndarray:
    """Eq. 2 from every gradient of every output at every patch, scaled to trace d."""
    gradients = kernel.patch_gradients(x, z, coef, feature_matrix=M)
    shares = np.full(len(x), 1 / len(x)) if weights is None else weights / weights.sum()
    agop = np.einsum("n,nkpd,nkpe->de", shares, gradients, gradients)
    return agop * len(agop) / np.trace(agop)


def merit(outputs: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    return float((outputs.argmax(1) == targets.argmax(1)).mean()), -float(((outputs - targets) ** 2).mean())


class Interrupted(InfiniteWidthKernel):
    """A kernel during one of whose calls the user presses Ctrl-C."""

    tangent = True
    calls_left = -1

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        Interrupted.calls_left -= 1
        if Interrupted.calls_left == -1:
            raise KeyboardInterrupt
        return super().__call__(*args, **keywords)


@contextmanager
def interrupt_after(calls: int) -> Iterator[Callable[[int], Interrupted]]:
    """A family of kernels that are interrupted after so many calls."""
    Interrupted.calls_left = calls
    yield lambda depth: Interrupted(kernels.vanilla(depth))
    Interrupted.calls_left = -1


class Recorded(InfiniteWidthKernel):
    """A kernel that remembers which images it met: of a kernel matrix and of an AGOP, left and right."""

    tangent = True
    met: ClassVar[list[tuple[str, torch.Tensor, torch.Tensor]]] = []

    def __call__(self, x: Any, z: Any = None, **keywords: Any) -> Any:
        Recorded.met.append(("kernel", x, x if z is None else z))
        return super().__call__(x, z, **keywords)

    def agop(self, x: Any, z: Any, *args: Any, **keywords: Any) -> Any:
        Recorded.met.append(("AGOP", x, z))
        return super().agop(x, z, *args, **keywords)


def rows(images: Any) -> set[bytes]:
    return {np.ascontiguousarray(image).tobytes() for image in np.asarray(images)}


def layer_images(
    images: np.ndarray,
    filters: np.ndarray,
    activation: str | None,
    margin: int = 0,
    centering: str | None = None,
    centered_on: np.ndarray | None = None,
) -> np.ndarray:
    """Every filter on every patch of side 3, one at a time, less its part of each channel's mean over `centered_on`."""
    wide = np.pad(images, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    height, width = wide.shape[2] - 2, wide.shape[3] - 2
    out = np.zeros((len(images), len(filters), height, width))
    for u in range(height):
        for v in range(width):
            out[:, :, u, v] = wide[:, :, u : u + 3, v : v + 3].reshape(len(images), -1) @ filters.T
    out = np.maximum(out, 0) if activation == "relu" else out
    if centering is None:
        return out
    assert centered_on is not None
    own = layer_images(centered_on, filters, activation, margin)
    mean = own.mean((0, 2, 3))[:, None, None]
    if centering == "mean":
        return out - mean
    length, own_length = (np.sqrt((features**2).sum(1, keepdims=True)) for features in (out, own))
    return out - length / own_length.mean() * mean


def drawn_filters(M: np.ndarray, seed: int, layer: int, depth: int, k: int, activation: str | None) -> np.ndarray:
    """N(0, gain M / tr M), from the layer's own seed."""
    stream = np.random.SeedSequence(seed).spawn(depth)[layer]
    values, vectors = np.linalg.eigh(M * ((2 if activation == "relu" else 1) / np.trace(M)))
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return np.random.default_rng(stream).standard_normal((k, len(M))) @ root


def best(candidates: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The first of those whose first entry is largest."""
    return max(enumerate(candidates), key=lambda c: (c[1][0], -c[0]))[1]


NOT_FIGURES = ("judge", "seconds", "path", "centerings")


def assert_same_history(history: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]], rel: float) -> None:
    """The same records but for rounding and time."""
    for record, wanted in zip(history, expected, strict=True):
        plain = [{name: r[name] for name in r if name not in NOT_FIGURES} for r in (record, wanted)]
        assert record["judge"] == wanted["judge"]
        assert plain[0] == pytest.approx(plain[1], rel=rel)
        for at, wanted_at in zip(record["path"], wanted["path"], strict=True):
            assert at == pytest.approx(wanted_at, rel=rel)
