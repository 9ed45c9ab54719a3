"""How time grows: with the square of the number of images, and in proportion to the positions of all layers."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .cases import GROWTH_IN_DEPTH, GROWTH_IN_IMAGES, SMALL
from .contest import compete
from .inputs import PATCH_SIZE

TURNS = 3  # in every round: a law is held against few numbers, which had better be good


def growth(rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds for several n and several depths, each set taken in turns, with the laws that they are held against."""
    in_images = _seconds(compete(GROWTH_IN_IMAGES, TURNS * rounds))
    in_depth = _seconds(compete(GROWTH_IN_DEPTH, TURNS * rounds))
    layers = [positions(int(depth)) for depth in in_depth]
    return {
        "images": {"seconds": in_images, **proportional([int(n) ** 2 for n in in_images], list(in_images.values()))},
        "depth": {"seconds": in_depth, "positions": layers, **affine(layers, list(in_depth.values()))},
    }


def positions(depth: int) -> int:
    """Positions of all layers, of one pair of images."""
    sides = [SMALL[1] - (level + 1) * (PATCH_SIZE - 1) for level in range(depth)]
    return sum(side * side for side in sides)


def proportional(sizes: ArrayLike, seconds: ArrayLike) -> dict[str, Any]:
    """The fit of seconds = slope * size with the least relative residuals."""
    a, t = np.asarray(sizes, dtype=float), np.asarray(seconds)
    return _fitted(a[:, None], t)


def affine(sizes: ArrayLike, seconds: ArrayLike) -> dict[str, Any]:
    """The fit of seconds = slope * size + offset with the least relative residuals."""
    a, t = np.asarray(sizes, dtype=float), np.asarray(seconds)
    return _fitted(np.stack([a, np.ones_like(a)], 1), t)


def _fitted(columns: np.ndarray, seconds: np.ndarray) -> dict[str, Any]:
    coefficients = np.linalg.lstsq(columns / seconds[:, None], np.ones_like(seconds), rcond=None)[0]
    residuals = seconds / (columns @ coefficients) - 1
    return {"coefficients": coefficients.tolist(), "residuals": residuals.tolist()}


def _seconds(results: dict[str, dict[str, Any]]) -> dict[str, float]:
    return {label: result["median_seconds"] for label, result in results.items()}
