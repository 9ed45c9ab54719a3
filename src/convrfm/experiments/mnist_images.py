"""MNIST digits, for the experiments that paste them into noise; scikit-learn's digits where MNIST is not named."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from ..datasets import load
from ..datasets.local_signal import bundled_digits
from ..datasets.pictures import resize
from ..datasets.sampling import stratified_order
from ..errors import InputError

WANTED = "MNIST as an .npz file with x_train, y_train, x_test and y_test, or torchvision:MNIST (with --download)."
SIZE = 28

Digits = Float32[np.ndarray, "n 1 28 28"]
Numbers = Int64[np.ndarray, " n"]


class Mnist(NamedTuple):
    """Digits from 0 to 1 with the numbers of their classes, and notes on the draw."""

    x_train: Digits
    y_train: Numbers
    x_test: Digits
    y_test: Numbers
    notes: tuple[str, ...]


def mnist(data: str | None, n: int, *, seed: int, download: bool = False) -> Mnist:
    """n training and n test images, drawn by class.

    Args:
        data: MNIST, as `datasets.load` takes it; None for scikit-learn's digits, enlarged to 28 x 28.
        n: Images of each part.
        seed: Of the draw.
        download: Whether torchvision may fetch the digits.

    Raises:
        InputError: If the data are no images of 28 x 28 gray pixels, or fewer than `n` in a part.
    """
    if data is None:
        return _bundled(n, seed)
    digits = load(data, n_train=n, n_test=n, seed=seed, download=download)
    if digits.x_train.shape[1:] != (1, SIZE, SIZE):
        came = " x ".join(map(str, digits.x_train.shape[1:]))
        raise InputError(f"MNIST has images of 1 x 28 x 28; got {came}. Look at --data.")
    y, y_test = (np.searchsorted(digits.classes, y).astype(np.int64) for y in (digits.y_train, digits.y_test))
    return Mnist(digits.x_train, y, digits.x_test, y_test, digits.notes)


def _bundled(n: int, seed: int) -> Mnist:
    images, labels = bundled_digits()
    if 2 * n > len(labels):
        raise InputError(
            f"there are {len(labels)} digits for training and testing; got n = {n} for each. Name MNIST with --data."
        )
    drawn = stratified_order(labels, np.random.default_rng(seed).spawn(1)[0])[: 2 * n]
    x = np.stack([resize(image[None], (SIZE, SIZE)) for image in images[drawn]]).clip(0, 1).astype(np.float32)
    y = labels[drawn]
    return Mnist(x[:n], y[:n], x[n:], y[n:], ("These are scikit-learn's digits, enlarged: no --data names MNIST.",))
