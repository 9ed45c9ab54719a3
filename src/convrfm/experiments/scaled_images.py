"""Images of the toy tasks and of real data sets, scaled as the paper scales them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ..datasets import load
from .photographs import scaled_as_the_paper
from .small_data.images import LabeledImages, data_set

GENERATED = {"bars": 1.0, "noisy-digits": 0.5}  # sigma
N_TEST = 100


def images(name: str, data: str | None, n: int, seed: int, n_test: int = N_TEST) -> tuple[LabeledImages, LabeledImages]:
    """n training images of one draw, and at most n_test test images, of a generated task or of a data set in the folder.

    Color images are scaled as in the paper's Appendix B; gray ones lose the mean of the training images.

    Raises:
        InputError: If the data set has fewer than n training images, or the task fewer than n and n_test.
    """
    if name in GENERATED:
        drawn = load(name, n_train=n, n_test=n_test, sigma=GENERATED[name], seed=seed)
        train, test = LabeledImages(drawn.x_train, drawn.y_train), LabeledImages(drawn.x_test, drawn.y_test)
    else:
        read = data_set(name, Path(data or "."))
        train, test = read.training_images(n, seed), read.test.take(np.arange(min(n_test, len(read.test.y))))
    if train.x.shape[1] == 3:
        return _colors_scaled(train), _colors_scaled(test)
    mean = train.x.mean(dtype=np.float64).astype(np.float32)
    return replace(train, x=train.x - mean), replace(test, x=test.x - mean)


def _colors_scaled(images: LabeledImages) -> LabeledImages:
    return replace(images, x=scaled_as_the_paper(torch.from_numpy(images.x)).numpy())
