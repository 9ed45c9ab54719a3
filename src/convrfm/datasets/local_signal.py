"""Generated tasks whose class is a small signal at a random place in noise.

Bars and noisy digits are those of Karp et al. 2021 as the paper uses them (Sec. 3.2); the star is that of
Radhakrishnan et al. 2024. A noise level `sigma` is proportional to the noise's variance in both tasks.
"""

import numpy as np
from jaxtyping import Float32, Int64, Shaped
from sklearn.datasets import load_digits

from ..errors import InputError
from .image_arrays import check_unmasked
from .pictures import resize

STAR_ROWS = {3: [10], 4: [9, 10, 11], 5: [7, 8, 9, 10, 11, 12, 13], 6: [8, 9, 10, 11, 12],
             7: [9, 10, 11], 8: [8, 9, 10, 11, 12], 9: [8, 9, 11, 12]}  # fmt: skip
STAR_PIXELS = np.array([(row, column) for row, columns in STAR_ROWS.items() for column in columns])
STAR_OFFSETS = 18

ImageArray = Float32[np.ndarray, "n c h w"]
Labels = Int64[np.ndarray, " n"]


def bars(n: int, *, sigma: float, generator: np.random.Generator) -> tuple[ImageArray, Labels]:
    """A white (class 1) or black (class 0) row somewhere in a noisy image.

    The noise is N(0, sigma/32), and one row, drawn uniformly, is replaced by +1/sqrt(32) or -1/sqrt(32).

    Args:
        n: Number of images; the two classes differ by at most one.
        sigma: Noise level: 32 times the variance of the noise. At 1 the noise is as strong as the bar.
        generator: Source of all randomness.

    Returns:
        Images `(n, 1, 16, 32)` and labels `(n,)`.

    Raises:
        InputError: If `n` is below 1 or `sigma` negative.

    >>> x, y = bars(4, sigma=0.0, generator=np.random.default_rng(0))
    >>> x.shape, sorted(y.tolist())
    ((4, 1, 16, 32), [0, 0, 1, 1])
    """
    # N(0, sigma/32) names a variance: with it, and the digits' std of 0.5 sqrt(sigma), one sigma scales the
    # variance of both tasks, and sigma = 1 makes the noise of a row of 32 pixels as long as its bar.
    y = _balanced_labels(n, generator)
    x = _noise((n, 1, 16, 32), _root(sigma) / np.sqrt(32), generator)
    rows = generator.integers(16, size=n)
    x[np.arange(n), 0, rows] = ((2 * y - 1) / np.sqrt(32))[:, None]
    return x, y


def noisy_digits(
    n: int,
    *,
    sigma: float,
    generator: np.random.Generator,
    digits: tuple[Shaped[np.ndarray, "m height width"], Shaped[np.ndarray, " m"]] | None = None,
) -> tuple[ImageArray, Labels]:
    """Digits pasted at a random place into noise of standard deviation 0.5 sqrt(sigma), half as large again.

    The `n` digits are drawn without replacement. For training and test images that share no digit, draw
    both at once and split, or divide `digits` beforehand.

    Args:
        n: Number of images, at most the number of digits.
        sigma: Noise level: 4 times the variance of the noise.
        generator: Source of all randomness.
        digits: Grayscale images `(m, h, w)`, in [0, 1] or uint8, and their labels `(m,)`.
            Without it, scikit-learn's 1797 bundled digits, enlarged from 8x8 to 16x16.

    Returns:
        Images `(n, 1, 3h/2, 3w/2)` and labels `(n,)`.

    Raises:
        InputError: If there are fewer than `n` digits, they are not grayscale images in [0, 1], or something is masked.

    >>> x, y = noisy_digits(5, sigma=1.0, generator=np.random.default_rng(0))
    >>> x.shape, y.shape
    ((5, 1, 24, 24), (5,))
    """
    images, labels = bundled_digits() if digits is None else digits
    check_unmasked(images, "images")
    check_unmasked(labels, "labels")
    if not 1 <= n <= len(images):
        raise InputError(
            f"n must be between 1 and {len(images)}, the number of digits (each is used at most once); "
            f"got {n}. Pass digits=(images, labels) with more of them."
        )
    drawn = generator.permutation(len(images))[:n]
    return paste_into_noise(images[drawn], sigma=sigma, generator=generator), labels[drawn].astype(np.int64)


def star(n: int, *, generator: np.random.Generator) -> tuple[ImageArray, Labels]:
    """Gaussian noise (class 0), with a small star of ones somewhere in its first two channels (class 1).

    Args:
        n: Number of images; the two classes differ by at most one.
        generator: Source of all randomness.

    Returns:
        Images `(n, 3, 32, 32)` with noise of standard deviation 0.3, and labels `(n,)`.

    Raises:
        InputError: If `n` is below 1.

    >>> x, y = star(50, generator=np.random.default_rng(0))
    >>> x.shape, int(y.sum())
    ((50, 3, 32, 32), 25)
    """
    y = _balanced_labels(n, generator)
    x = _noise((n, 3, 32, 32), 0.3, generator)
    for i in np.flatnonzero(y):
        rows, columns = (STAR_PIXELS + generator.integers(STAR_OFFSETS, size=2)).T
        x[i, :2, rows, columns] = 1
    return x, y


def bundled_digits() -> tuple[Float32[np.ndarray, "1797 16 16"], Int64[np.ndarray, "1797"]]:
    """scikit-learn's 8x8 digits in [0, 1], enlarged to 16x16, and their labels."""
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    return np.concatenate([resize(image[None], (16, 16)) for image in images]), digits.target.astype(np.int64)


def paste_into_noise(
    images: Shaped[np.ndarray, "n h w"], *, sigma: float, generator: np.random.Generator
) -> Float32[np.ndarray, "n 1 rows cols"]:
    """Replace a random window of an image of noise, half as large again, by each image, in order."""
    if images.dtype == np.uint8:
        images = images / np.float32(255)
    if images.min() < 0 or images.max() > 1:
        raise InputError(
            f"digits must lie in [0, 1] or be uint8; got values from {images.min()} to {images.max()}. "
            "Scale them first."
        )
    n, height, width = images.shape
    x = _noise((n, 1, height * 3 // 2, width * 3 // 2), 0.5 * _root(sigma), generator)
    tops = generator.integers(height // 2 + 1, size=n)
    lefts = generator.integers(width // 2 + 1, size=n)
    for canvas, image, top, left in zip(x, images, tops, lefts, strict=True):
        canvas[0, top : top + height, left : left + width] = image
    return x


def _noise(shape: tuple[int, ...], std: float, generator: np.random.Generator) -> Float32[np.ndarray, "..."]:
    return np.float32(std) * generator.standard_normal(shape, dtype=np.float32)


def _balanced_labels(n: int, generator: np.random.Generator) -> Labels:
    if n < 1:
        raise InputError(f"n must be at least 1; got {n}.")
    return generator.permutation(np.arange(n, dtype=np.int64) % 2)


def _root(sigma: float) -> float:
    if not 0 <= sigma < np.inf:
        raise InputError(f"sigma must be a finite noise level of at least 0; got {sigma}.")
    return float(np.sqrt(sigma))
