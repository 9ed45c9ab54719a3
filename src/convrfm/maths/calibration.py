"""Class probabilities from scores: a temperature, and how far probabilities are from frequencies."""

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize_scalar
from torch import Tensor

COLDEST, HOTTEST = 1e-3, 1e3


def temperature(
    scores: Float[Tensor, "n k"], targets: Float[Tensor, "n k"], weights: Float[Tensor, " n"] | None = None
) -> float:
    """The T for which softmax(scores / T) gives held-out images' classes the largest likelihood (Guo et al. 2017).

    Args:
        scores: outputs for images that the fit has not seen.
        targets: 1 for the class of each image, 0 for the others.
        weights: `(n,)`, of the images; None for equal ones.

    Returns:
        T, between 0.001 and 1000.
    """
    shares = torch.ones(len(scores), dtype=torch.float64) if weights is None else weights.double().cpu()
    scores, targets = scores.double().cpu(), targets.double().cpu()

    def loss(log_temperature: float) -> float:
        log_likelihoods = (torch.log_softmax(scores / math.exp(log_temperature), 1) * targets).sum(1)
        return -float(shares @ log_likelihoods)

    return math.exp(minimize_scalar(loss, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded").x)


def expected_calibration_error(
    probabilities: Float[np.ndarray, "n k"], classes: Int[np.ndarray, " n"], bins: int = 10
) -> float:
    """The mean distance, over images, between the confidence and the accuracy of their bin (Guo et al. 2017).

    Args:
        probabilities: of every class.
        classes: the number of each image's class.
        bins: equal intervals of the largest probability.

    Returns:
        A fraction from 0 to 1.
    """
    confidence = probabilities.max(1)
    hits = (probabilities.argmax(1) == classes).astype(float)
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(np.sum(hits[bin_of == b] - confidence[bin_of == b])) for b in range(bins)]
    return float(np.sum(gaps) / len(classes))
