"""What `convrfm predict` does: a saved model and images, in; a table of labels, and on request a page, out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from .. import datasets
from ..datasets import Preprocessing
from ..datasets.folders import is_picture
from ..datasets.prediction import in_short
from ..errors import InputError
from ..estimators import load
from ..estimators.classification import Classifier
from ..estimators.machine import RecursiveFeatureMachine
from ..quantities import counted
from ..report import Prediction, likeliest, prediction_page
from ..report.prediction_page import MOST_PICTURES
from ..storage.tables import write_table
from .choices import Unreadable
from .fit_folder import draw_of
from .terminal import say_notes

Labels = Shaped[np.ndarray, " n"]
OTHER_DIGITS = "By another --seed than the run's other digits are held out: it was fitted to some of these."
WHOLE = re.compile(r"([+-]?\d+)(\.0*)?")
MOST_SAID = 10  # pictures; of the others the table tells


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a model says of images.

    Attributes:
        images: as the model takes them.
        names: their names.
        labels: their true labels; None where they have none.
        values: what was predicted.
        probabilities: `(n, k)`; None for a regression.
    """

    images: Float[np.ndarray, "n c h w"]
    names: tuple[str, ...]
    labels: Labels | None
    values: Shaped[np.ndarray, "n *k"]
    probabilities: Float[np.ndarray, "n k"] | None


def predict(
    run: Path,
    data: Sequence[str],
    out: Path,
    *,
    page: Path | None,
    unreadable: Unreadable,
    seed: int | None,
    download: bool,
    labels: Path | None,
    device: str,
) -> list[str]:
    """Label images and write the table.

    Args:
        run: folder of a run, or a saved model.
        data: pictures, a folder of pictures with or without classes, a `.npz`, or a name of a data set; or several of them.
        out: the table: name (docs/data.md says of what), true label where there is one, predicted label, probability of every
            class. It is replaced.
        page: HTML file with every picture, its probabilities and where the model looks; None for none.
        unreadable: what to do with a broken picture.
        seed: of the draw of generated data; None for that of the run, or 0. How many they are, and at which noise, is as in
            the run.
        download: whether torchvision may fetch data.
        labels: table of file names and labels, for folders of pictures; None where the data tell them.
        device: where to compute.

    Returns:
        Sentences: the accuracy where labels are known, otherwise what a few pictures are, with probabilities.

    Raises:
        InputError: if anything does not fit; the message says what.
    """
    if is_picture(run):
        raise InputError(f"the run comes first, and then pictures; got the picture {run} for the run.")
    model: RecursiveFeatureMachine = load(run, device)
    channels, height, width = model.x_fit_.shape[1:]
    preprocessing = model.preprocessing_ or Preprocessing((height, width), channels)
    draw = {name: value for each in data for name, value in draw_of(run, each).items()}
    others = [OTHER_DIGITS] if "noisy-digits" in data and draw and seed not in (None, draw["seed"]) else []
    if seed is not None:
        draw["seed"] = seed
    x, names, true, notes = datasets.load_for_prediction(
        data, preprocessing, unreadable=unreadable.value, download=download, labels=labels, **draw
    )
    notes = (*notes, *others)
    probabilities = model.predict_proba(x) if isinstance(model, Classifier) else None
    values = model.predict(x) if probabilities is None else model.classes_[probabilities.argmax(1)]
    predicted = Predicted(x, names, true, values, probabilities)
    _write_predictions(out, model, predicted)
    say_notes(notes)
    accuracy = _accuracy(model, predicted)
    if page is not None:
        _write_page(page, model, predicted, f"{Path(run).name} on {in_short(data)}", [*accuracy, *notes])
    told = isinstance(model, Classifier) and _are_known(true, model.classes_)
    return accuracy if told else [*accuracy, *_told_of_each(model, predicted)]


def _write_predictions(out: Path, model: RecursiveFeatureMachine, found: Predicted) -> None:
    columns: dict[str, Any] = {"name": found.names}
    if found.labels is not None:
        columns["true"] = found.labels
    columns["predicted"] = found.values
    if isinstance(model, Classifier) and found.probabilities is not None:
        for label, of_class in zip(model.classes_, found.probabilities.T, strict=True):
            columns[f"p {label}"] = [f"{p:.4f}" for p in of_class]
    write_table(out, list(columns), zip(*columns.values(), strict=True))


def _write_page(path: Path, model: RecursiveFeatureMachine, found: Predicted, title: str, notes: Sequence[str]) -> None:
    learned = model.layers_[0].kept.iteration > 0
    maps = model.feature_maps(found.images[:MOST_PICTURES]) if learned else [None]
    rows = found.probabilities if found.probabilities is not None else [None] * len(found.names)
    labels = found.labels if found.labels is not None else [None] * len(found.names)
    everything = [
        Prediction(name, image, maps[min(i, len(maps) - 1)], value, row, label)
        for i, (name, image, value, row, label) in enumerate(
            zip(found.names, found.images, found.values, rows, labels, strict=True)
        )
    ]
    classes = model.classes_ if isinstance(model, Classifier) else ()
    prediction_page(title, everything, classes, notes).write(path)


def _accuracy(model: RecursiveFeatureMachine, found: Predicted) -> list[str]:
    if found.labels is None or not isinstance(model, Classifier):
        return []
    return [accuracy_sentence(found.values, found.labels, model.classes_)]


def _told_of_each(model: RecursiveFeatureMachine, found: Predicted) -> list[str]:
    """What the first few pictures are."""
    if found.probabilities is None or not isinstance(model, Classifier):
        said = [str(value) for value in found.values[:MOST_SAID]]
    else:
        shown = (likeliest(row, model.classes_) for row in found.probabilities[:MOST_SAID])
        said = [", ".join(f"{label} {p:.1%}" for label, p in classes) for classes in shown]
    left_out = len(found.names) - len(said)
    sentences = [f"{name}: {what}" for name, what in zip(found.names, said, strict=False)]
    return [*sentences, f"{counted(left_out, 'more picture')} in the table alone"] if left_out else sentences


def _are_known(labels: Labels | None, classes: Shaped[np.ndarray, " k"]) -> bool:
    """Whether there are labels of which the model has some."""
    return labels is not None and bool(_known(labels, classes).any())


def _known(labels: Labels, classes: Shaped[np.ndarray, " k"]) -> Bool[np.ndarray, " n"]:
    """Which labels the model has."""
    return np.isin(*comparable(labels, classes))


def comparable(labels: Labels, others: Shaped[np.ndarray, " k"]) -> tuple[Labels, Shaped[np.ndarray, " k"]]:
    """Both as texts that are equal where labels are the same.

    Texts are the same if they are equal, numbers likewise: 1, 1.0 and True are one. Beside numbers a text that reads as one is
    that number.
    """
    if labels.dtype.kind == others.dtype.kind == "U":
        return labels, others
    as_labels, as_others = (np.array([_number_or_text(each) for each in which.tolist()]) for which in (labels, others))
    return as_labels, as_others


def _number_or_text(label: float | int | str) -> str:
    """A whole number in its shortest form; anything else as it is written."""
    if not isinstance(label, str):
        return str(int(label)) if float(label).is_integer() else str(label)
    if whole := WHOLE.fullmatch(label):
        return str(int(whole[1]))
    return {"True": "1", "False": "0"}.get(label, label)


def accuracy_sentence(predicted: Labels, labels: Labels, classes: Shaped[np.ndarray, " k"]) -> str:
    """How many labels were predicted, with those that the model does not know."""
    known = _known(labels, classes)
    if not known.any():
        return f"no accuracy: the model knows none of these labels; its classes are {', '.join(map(str, classes[:10]))}"
    right = np.equal(*comparable(predicted, labels))
    accuracy = f"accuracy: {right.mean():.2%} of {counted(len(labels), 'image')}"
    if known.all():
        return accuracy
    unknown = ", ".join(sorted(set(map(str, labels[~known])))[:10])
    return (
        f"{accuracy}, of which {(~known).sum()} have labels that the model does not know ({unknown}): "
        f"{right[known].mean():.2%} of the other {known.sum()}"
    )
