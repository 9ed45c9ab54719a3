"""The page of the study: its protocol, the accuracies, and what the models say of themselves."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from ...report import Section
from .methods import METHODS
from .picture import plot_accuracies
from .summary import Results, difference, measured, sizes, summary

LARGEST = (640, 1000)
KERNEL_MACHINES = ("fixed kernel", "ConvRFM", "ConvRFM, cv=5", "Deep ConvRFM")
CONTESTANTS = tuple(method for method in METHODS if method != "ConvRFM, cv=5")
PROTOCOL = (
    "Pixels from 0 to 1, the same for all methods. From each training set 1000 images are held out once, to measure what the "
    "models say of themselves; the n training images are drawn from the rest with the seed, a smaller draw being part of a "
    "larger one. Accuracy is that on 1000 test images, drawn once. Every draw holds the classes equally often, as far as their "
    "images suffice. No fit chooses anything on test or held-out images; that features may be centered in proportion to their "
    "length was found on GTSRB and CIFAR-10, seed 0, n = 320, with test accuracy in view (docs/results.md).",
    "CIFAR-10 and GTSRB are 32 x 32 in color, USPS 16 x 16 and Fashion-MNIST 28 x 28 in gray. GTSRB starts where each of its "
    "43 classes has an image. Its training photographs come in tracks of 30 frames; which frame is of which track is not known "
    "here, so near-duplicates can occur among training images, and between these and the held-out ones. The 1000 test images "
    "are of its test set.",
    "With one image a class leave-one-out accuracy is zero for every ridge; there the kernel machines are the regressors of "
    "one-hot labels, which choose ridge and round by squared error.",
    "A line of the record names the commit it was computed at, but for older lines of methods that are not this project's.",
)
SETTINGS = (
    ("fixed kernel", "ConvRFMClassifier(n_iterations=0): NTK of vanilla(depth=3), ridge by leave-one-out"),
    ("ConvRFM", "the same with 3 updates of M, ridge and round by leave-one-out"),
    (
        "Deep ConvRFM",
        "DeepConvRFMClassifier(n_iterations=2, agop_samples=min(200, n)): 3 layers, 64 filters, centering by leave-one-out; "
        "metrics cut to eigenvectors with at least 1e-4 of the trace",
    ),
    (
        "CNN",
        "of the paper's form: three convolutions of 64 channels, 3 x 3, ReLU, a linear layer, no bias, no padding; "
        "cross-entropy, Adam, learning rate 1e-4, batches of 128, 500 epochs at most. The number of epochs is that of the "
        "smallest loss on a stratified fifth of the training images (training stops 50 epochs after it); then a network is "
        "trained on all of them. With fewer than five images in a class: until the training loss is 0.01",
    ),
    (
        "logistic regression",
        "on pixels; C of 1e-4, ..., 1e2 by cross-validation in 5 folds, or as many as the smallest class has images; C = 1 "
        "with one image a class",
    ),
    ("random forest", "on pixels; 300 trees"),
)
ACCURACIES = (
    "Means over seeds (draws of training images, initial weights, filters), of three or more with Student's 95% interval, in "
    "per cent. The largest mean of the methods with the most seeds is called best. A dash was not run."
)
SELF_KNOWLEDGE = (
    "judged is the accuracy by which ridge and round were chosen: by leave-one-out, or by 5-fold cross-validation in "
    "which every fold learns its own M (cv=5). held out is the accuracy of the same model on the 1000 held-out images "
    "of the same pool; optimism is judged - held out; ridge is what the held-out accuracy would gain from the ridge "
    "that is best on the held-out images, of the same 17 (not computed for Deep ConvRFM). The fixed kernel is round 0, "
    "where leave-one-out is exact; after an update M has seen the label of the image that is left out, and so have the "
    "features of Deep ConvRFM, which is judged by its last layer. Leave-one-out leaves one image fewer in the class of "
    "the image left out, which with few images a class makes it pessimistic."
)
PROBABILITIES = (
    "Expected calibration error of predict_proba (10 bins, 1000 test images): the mean and the largest of the seeds. The "
    "temperature is by leave-one-out, or by cross-validation (cv=5); neither can know that test images are harder than the "
    "training set's own, as on GTSRB, where near-duplicates are among the training images and not among the test images."
)
ACCURACY_HEADER = ("data", "n", *CONTESTANTS, "seeds")
KNOWLEDGE_HEADER = ("data", "n", "method", "seeds", "judged", "held out", "optimism", "ridge")
FOLDS_HEADER = ("data", "n", "seeds", "test, leave-one-out", "test, cv=5", "difference")
CALIBRATION_HEADER = ("data", "n", "method", "seeds", "mean", "largest", "test accuracy")


def sections(results: Results) -> list[Section]:
    """All but the table of accuracies."""
    names = list(dict.fromkeys(trial.data for trial in results))
    protocol = Section("Protocol").figure(
        plot_accuracies(results),
        caption="Test accuracy against the number of training images; means over seeds, of three or more "
        "with Student's 95% intervals.",
        alt="A chart for each data set: test accuracy of six methods against the number of training images.",
        name="accuracy",
    )
    for paragraph in PROTOCOL:
        protocol.prose(paragraph)
    protocol.table(("method", "settings"), SETTINGS, "The contestants.")
    knowledge = Section("What the models say of themselves").prose(SELF_KNOWLEDGE)
    knowledge.table(KNOWLEDGE_HEADER, _self_knowledge(results, names), "In points of per cent.")
    folds = list(_cross_validated(results, names))
    if folds:
        knowledge.table(FOLDS_HEADER, folds, "What choosing by cross-validation costs or gains, on the same seeds.")
    calibrated = list(_calibration(results, names))
    probabilities = Section("Probabilities").prose(PROBABILITIES)
    return [
        protocol,
        knowledge,
        *([probabilities.table(CALIBRATION_HEADER, calibrated, "In points of per cent.")] if calibrated else []),
    ]


def accuracies(results: Results) -> list[list[object]]:
    """A line for each data set and number of training images."""
    lines: list[list[object]] = []
    for data in dict.fromkeys(trial.data for trial in results):
        for n in sizes(results, data):
            found = {method: summary(measured(results, data, n, method, "test").values()) for method in CONTESTANTS}
            if any(found.values()):
                most = max(cell.seeds for cell in found.values() if cell)
                best = max(cell.mean for cell in found.values() if cell and cell.seeds == most)
                cells = [
                    "-" if cell is None else f"{cell} (best)" if (cell.mean, cell.seeds) == (best, most) else str(cell)
                    for cell in found.values()
                ]
                lines.append([data, n, *cells, _seeds({method: c.seeds for method, c in found.items() if c})])
    return lines


def _seeds(of_method: dict[str, int]) -> str:
    """How many seeds each method had: one number, and the methods that had another."""
    most = max(of_method.values())
    others = sorted((k, m) for m, k in of_method.items() if k < most)
    told = [f"{', '.join(m for _, m in group)}: {k}" for k, group in groupby(others, key=lambda pair: pair[0])]
    return "; ".join([str(most), *told])


def _self_knowledge(results: Results, names: Sequence[str]) -> Iterable[Sequence[object]]:
    for method in KERNEL_MACHINES:
        for name in names:
            for n in (160, *LARGEST):
                judged = measured(results, name, n, method, "judged")
                held_out = measured(results, name, n, method, "held_out")
                best = measured(results, name, n, method, "held_out_at_best_ridge")
                if judged:
                    yield (
                        *(name, n, method, len(judged), summary(judged.values()), summary(held_out.values())),
                        *(difference(judged, held_out), difference(best, held_out) or "-"),
                    )


def _cross_validated(results: Results, names: Sequence[str]) -> Iterable[Sequence[object]]:
    for name in names:
        for n in sizes(results, name):
            folds = measured(results, name, n, "ConvRFM, cv=5", "test")
            every = measured(results, name, n, "ConvRFM", "test")
            left_out = {seed: every[seed] for seed in folds.keys() & every.keys()}
            if left_out:
                same = {seed: folds[seed] for seed in left_out}
                yield (
                    *(name, n, len(left_out), summary(left_out.values()), summary(same.values())),
                    difference(same, left_out),
                )


def _calibration(results: Results, names: Sequence[str]) -> Iterable[Sequence[object]]:
    for name in names:
        for n in LARGEST:
            for method in KERNEL_MACHINES:
                errors = measured(results, name, n, method, "calibration_error")
                if errors:
                    tested = measured(results, name, n, method, "test")
                    largest = f"{100 * max(errors.values()):.1f}"
                    yield name, n, method, len(errors), summary(errors.values()), largest, summary(tested.values())
