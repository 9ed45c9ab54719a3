"""NTK, ConvRFM, Deep ConvRFM and the corresponding CNN on the same images, as the paper's Figs. 5 and 6 compare them.

One deep model a draw gives three of the four: its fixed kernel, its first layer, and all layers. Rounds and ridges are
chosen by leave-one-out, the number of the CNN's epochs on a fifth of the training images.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ..estimators import DeepConvRFMClassifier
from ..maths.intervals import mean_with_interval
from ..networks import outputs_of
from .corresponding_cnn import labeled, trained_in_time
from .deep_kernels import kernel_family
from .experiment import Line, Step
from .small_data.images import LabeledImages

METHODS = ("NTK", "ConvRFM", "Deep ConvRFM", "CNN")
HEADER = (*METHODS, *(f"{method} - NTK" for method in METHODS[1:]))
AGOP_SAMPLES = 200

Images = tuple[LabeledImages, LabeledImages]


def deep_model(train: LabeledImages, seed: int, **settings: Any) -> DeepConvRFMClassifier:
    """Deep ConvRFM with gradients at 200 training images a layer; `settings` are further parameters, such as `depth`."""
    samples = min(AGOP_SAMPLES, len(train.y))
    model = DeepConvRFMClassifier(kernel_family, agop_samples=samples, random_state=seed, **settings)
    return model.fit(train.x, train.y)


def kernel_machines(train: LabeledImages, test: LabeledImages, seed: int, **settings: Any) -> Line:
    """Test accuracy of the fixed kernel, of the first layer and of all layers, and by their number."""
    model = deep_model(train, seed, **settings)
    stages = [float((predicted == test.y).mean()) for predicted in model.staged_predict(test.x)]
    scores = dict(zip(METHODS[:3], (stages[0], stages[1], stages[-1]), strict=True))
    return {**scores, "stages": stages, "kept": model.best_iterations_}


def cnn(train: LabeledImages, test: LabeledImages, seed: int, depth: int, epochs: int, device: str) -> Line:
    """Test accuracy of the corresponding network."""
    outputs = outputs_of(trained_in_time(train, depth, seed, epochs, device), labeled(test).x)
    return {"CNN": float((outputs.argmax(1).numpy() == test.y).mean())}


def steps(
    at: Line, images: Callable[[], Images], seed: int, *, depth: int, epochs: int, device: str, **settings: Any
) -> Iterator[Step]:
    """One for the kernel machines, and one for the CNN; `images` gives those of both when they are needed."""
    settings |= {"depth": depth, "device": device}
    yield Step({**at, "model": "kernel machines"}, lambda: kernel_machines(*images(), seed, **settings))
    yield Step({**at, "model": "CNN"}, lambda: cnn(*images(), seed, depth, epochs, device))


def accuracies(lines: Iterable[Line]) -> dict[str, Float[np.ndarray, " seeds"]]:
    """Every method's, in the order of the lines."""
    found = list(lines)
    return {method: np.array([line[method] for line in found if method in line]) for method in METHODS}


def above_the_kernel(scores: Mapping[str, Float[np.ndarray, " seeds"]]) -> bool:
    """Whether the means of ConvRFM and of Deep ConvRFM are above that of the fixed kernel."""
    means = {method: values.mean() for method, values in scores.items()}
    return bool(min(means["ConvRFM"], means["Deep ConvRFM"]) > means["NTK"])


def above_too(above: Sequence[bool], n: int, at: str, places: str) -> str:
    """At how many of n places the CNN is above the fixed kernel, and at how many of these `above_the_kernel` holds."""
    said = f"the CNN is above the NTK {at} {len(above)} of {n} {places}"
    return f"{said}, and {at} {sum(above)} of these ConvRFM and Deep ConvRFM are too" if above else said


def gains(scores: Mapping[str, Float[np.ndarray, " seeds"]]) -> dict[str, Float[np.ndarray, " seeds"]]:
    """Per cent by which every other method is above the fixed kernel, draw by draw."""
    return {method: 100 * (scores[method] - scores["NTK"]) for method in METHODS[1:]}


def cells(scores: Mapping[str, Float[np.ndarray, " seeds"]]) -> list[str]:
    """Mean accuracies in per cent, and the gains with their intervals."""
    means = [f"{100 * scores[method].mean():.1f}" for method in METHODS]
    return [*means, *(mean_with_interval(gain, signed=True) for gain in gains(scores).values())]
