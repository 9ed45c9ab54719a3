"""Noisy MNIST of the published run: digits of 28 x 28 pasted into noise of 42 x 42, four rounds at depth 3.

Radhakrishnan et al. 2024 publish one run: 4000 training and 4000 test images, noise of standard deviation 0.5, patches
of 3 x 3, ridge 1e-5, three updates from the AGOP of the first 20 images. Their images lie in files that are not
published, so that this is another draw of the same kind.
"""

import hashlib
import time
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from sklearn.base import clone

from ..datasets import load
from ..datasets.local_signal import paste_into_noise
from ..errors import InputError
from ..estimators import ConvRFMClassifier
from ..estimators import load as load_model
from ..estimators.targets import one_hot, quality
from ..kernels import NTK, vanilla
from ..maths.intervals import wilson_interval
from ..plots import plot_rounds
from ..report import Section
from ..report.fit_sections import metric_section
from ..report.headline import interval_text
from .figure import PublishedFigure, Reproduction, Request
from .run_folder import STEPS, RunFolder, Step
from .scale import Scale

PUBLISHED_ACCURACY = (0.52025, 0.54475, 0.57275, 0.59375)
PUBLISHED_ERROR = (0.7190562, 0.70263445, 0.6852669, 0.6716727)  # squared, summed over outputs, mean over images
IMAGES = {Scale.SMOKE: 200, Scale.FULL: 4000}  # for training, and as many for testing
SIGMA = 1.0  # noise of standard deviation 0.5
PATCH_SIZE = 3
MODEL = ConvRFMClassifier.from_preset("science-2024", kernel=NTK(vanilla(depth=3, patch_size=PATCH_SIZE)), ridge=1e-5)
HEADER = ("Round", "Test (95% interval)", "Published", "Test error", "Published", "Seconds", "for the test")

Images = Float32[np.ndarray, "n 1 42 42"]
Labels = Int64[np.ndarray, " n"]


def noisy_mnist_images(
    data: str, n: int, *, seed: int, download: bool = False
) -> tuple[tuple[Images, Labels], tuple[Images, Labels], tuple[str, ...]]:
    """As many training as test images with numbers of their classes, and notes on the draw.

    Args:
        data: MNIST, as `datasets.load` takes it; digits are drawn by class.
        n: Images of each part.
        seed: Of the digits, their places and the noise.
        download: Whether torchvision may fetch the digits.

    Raises:
        InputError: If the data are no images of 28 x 28 gray pixels, or fewer than `n` in a part.
    """
    digits = load(data, n_train=n, n_test=n, seed=seed, download=download)
    if digits.x_train.shape[1:] != (1, 28, 28):
        came = " x ".join(map(str, digits.x_train.shape[1:]))
        raise InputError(f"noisy-mnist takes images of 1 x 28 x 28, as MNIST has them; got {came}. Look at --data.")
    train, test = np.random.SeedSequence(seed).spawn(5)[3:]  # the three before them drew the digits

    def noisy(x: Float32[np.ndarray, "n 1 28 28"], y: np.ndarray, stream: np.random.SeedSequence) -> Any:
        images = paste_into_noise(x[:, 0], sigma=SIGMA, generator=np.random.default_rng(stream))
        return images, np.searchsorted(digits.classes, y).astype(np.int64)

    return noisy(digits.x_train, digits.y_train, train), noisy(digits.x_test, digits.y_test, test), digits.notes


def scored_round(
    folder: RunFolder, t: int, train: tuple[Images, Labels], test: tuple[Images, Labels], model: ConvRFMClassifier
) -> Step:
    """Go on to round t from what the folder keeps, and score it on test images."""
    before, after = (folder.path / STEPS / f"model-{number}.safetensors" for number in (t - 1, t))
    if t:
        model = load_model(before, model.device)
    model.set_params(n_iterations=t, warm_start=True).fit(*train)
    if len(model.history_) <= t:
        raise KeyboardInterrupt  # `fit` keeps what was finished before it
    model.save(after)
    start = time.perf_counter()
    outputs = torch.from_numpy(model.decision_function(test[0])).double()
    scores = quality(outputs, one_hot(test[1], 10), None, classify=True)
    assert scores.accuracy is not None
    record = model.history_[t] | {
        "test_accuracy": scores.accuracy,
        "test_interval": wilson_interval(round(scores.accuracy * len(outputs)), len(outputs)),
        "test_error": scores.error * 10,
        "test_seconds": time.perf_counter() - start,
    }
    return Step(record, {"feature_matrix": torch.from_numpy(model.feature_matrix_)})


def produce(request: Request, folder: RunFolder, verbose: bool) -> Reproduction:
    """All rounds, each kept in the folder as soon as it is finished."""
    assert request.data is not None
    n = IMAGES[request.scale]
    train, test, notes = noisy_mnist_images(request.data, n, seed=request.seed, download=request.download)
    check_images_are_those_of(folder, [*train, *test])
    model = clone(MODEL).set_params(device=request.device, verbose=verbose)
    rounds = range(MODEL.n_iterations + 1)
    steps = [folder.step(f"round-{t}", lambda t=t: scored_round(folder, t, train, test, model)) for t in rounds]
    return reproduction_of(request, n, notes, steps)


def check_images_are_those_of(folder: RunFolder, arrays: list[np.ndarray]) -> None:
    """Raise `InputError` if the folder's earlier steps saw other images."""
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    if folder.step("images", lambda: Step({"sha256": digest})).record["sha256"] != digest:
        raise InputError(
            f"{folder.path} was begun with other images: what --data names has changed. Choose another --out, or pass "
            "--overwrite."
        )


def reproduction_of(request: Request, n: int, notes: tuple[str, ...], steps: list[Step]) -> Reproduction:
    """The table, the plot and the page's sections."""
    records = [step.record for step in steps]
    rows = [
        [
            r["iteration"],
            f"{r['test_accuracy']:.1%} ({interval_text(tuple(r['test_interval']), 'classification')})",
            f"{published:.1%}",
            f"{r['test_error']:.4f}",
            f"{published_error:.4f}",
            f"{r['seconds']:.1f}",
            f"{r['test_seconds']:.1f}",
        ]
        for r, published, published_error in zip(records, PUBLISHED_ACCURACY, PUBLISHED_ERROR, strict=True)
    ]
    first, last = (f"{records[t]['test_accuracy']:.1%}" for t in (0, -1))
    kept = interval_text(tuple(records[-1]["test_interval"]), "classification")
    axes = plot_rounds(
        None,
        *(np.array([r[name] for r in records]) for name in ("loo_accuracy", "test_accuracy", "test_interval")),
        published=np.array(PUBLISHED_ACCURACY),
        chosen=len(records) - 1,
    )
    summary = (
        Section("In short")
        .lead(
            f"{len(records) - 1} updates of the patch metric: test accuracy from {first} (fixed kernel) to {last} "
            f"(95% interval {kept}; n = {n}). Published: {PUBLISHED_ACCURACY[0]:.1%} to {PUBLISHED_ACCURACY[-1]:.1%}."
        )
        .prose(
            f"A digit of 28 x 28 pixels is pasted at a random place into 42 x 42 pixels of noise of standard deviation "
            f"0.5; {n} images for training, {n} for testing. Settings of the published run: NTK of depth 3, patches of "
            f"3 x 3, ridge {MODEL.ridge:g}, gradients at the first 20 images; the last round is kept, nothing is chosen."
        )
        .note("The published images are not at hand: this is another draw of the same kind.", *notes)
    )
    if n != IMAGES[Scale.FULL]:
        summary.warning(f"Scale smoke: {n} images in place of {IMAGES[Scale.FULL]}. Only the machinery is shown.")
    scores = (
        Section("Accuracy by round")
        .figure(
            axes,
            caption="Accuracy after each update, beside the published run.",
            alt=f"Line chart of accuracy by round: test {first} to {last}, and the published values.",
        )
        .table(
            HEADER,
            rows,
            caption="Errors are squared, summed over the ten outputs, and means over test images. The published run has "
            f"{IMAGES[Scale.FULL]} images for training and as many for testing.",
            marked_rows=[len(rows) - 1],
        )
    )
    learned = metric_section(steps[-1].tensors["feature_matrix"].cpu().double().numpy(), (1, PATCH_SIZE, PATCH_SIZE))
    axes_figure = axes.get_figure(root=True)
    assert axes_figure is not None
    results = {
        "n_train": n,
        "n_test": n,
        "rounds": records,
        "published_accuracy": PUBLISHED_ACCURACY,
        "published_error": PUBLISHED_ERROR,
        "notes": notes,
    }
    return Reproduction(results, HEADER, rows, [summary, scores, learned], {"rounds": axes_figure})


FIGURE = PublishedFigure(
    title="Noisy MNIST",
    produce=produce,
    data="MNIST as an .npz file with x_train, y_train, x_test and y_test, or torchvision:MNIST (with --download).",
)
