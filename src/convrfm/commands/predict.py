"""What `convrfm predict` does: a saved model and images, in; a table of labels, out."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from .. import datasets
from ..datasets import Preprocessing
from ..errors import InputError
from ..estimators import load
from ..estimators.classification import Classifier
from ..storage.atomic import check_writable
from ..storage.tables import write_table
from .choices import Unreadable
from .terminal import say_notes

Labels = Shaped[np.ndarray, " n"]


def predict(
    run: Path, data: str, out: Path, *, unreadable: Unreadable, seed: int, device: str, overwrite: bool
) -> str | None:
    """Label images and write the table.

    Args:
        run: folder of a run, or a saved model.
        data: a picture, a folder of pictures with or without classes, a `.npz`, or a name of a data set.
        out: the table: name, true label where there is one, predicted label, probability of every class.
        unreadable: what to do with a broken picture.
        seed: of the draw of generated data.
        device: where to compute.
        overwrite: whether to replace the table.

    Returns:
        A sentence: the accuracy where labels are known, the label of a single picture, or None.

    Raises:
        InputError: if anything does not fit; the message says what.
    """
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists already. Choose another --out, or pass --overwrite.")
    check_writable(out)
    model = load(run, device)
    channels, height, width = model.x_fit_.shape[1:]
    preprocessing = model.preprocessing_ or Preprocessing((height, width), channels)
    x, names, labels, notes = datasets.load_for_prediction(data, preprocessing, unreadable=unreadable.value, seed=seed)
    columns: dict[str, Any] = {"name": names}
    if labels is not None:
        columns["true"] = labels
    if isinstance(model, Classifier):
        probabilities = model.predict_proba(x)
        predicted = model.classes_[probabilities.argmax(1)]
        columns["predicted"] = predicted
        for label, of_class in zip(model.classes_, probabilities.T, strict=True):
            columns[f"p {label}"] = [f"{p:.4f}" for p in of_class]
    else:
        predicted = columns["predicted"] = model.predict(x)
    write_table(out, list(columns), zip(*columns.values(), strict=True))
    say_notes(notes)
    if labels is not None and isinstance(model, Classifier):
        return accuracy_sentence(predicted, labels, model.classes_)
    return f"{names[0]}: {predicted[0]}" if len(names) == 1 else None


def accuracy_sentence(predicted: Labels, labels: Labels, classes: Shaped[np.ndarray, " k"]) -> str:
    """How many labels were predicted; labels of another type than the model's are compared as text."""
    texts, known = labels.astype(str), np.isin(labels.astype(str), classes.astype(str))
    if not known.any():
        return f"no accuracy: the model knows none of these labels; its classes are {', '.join(map(str, classes[:10]))}"
    return f"accuracy: {np.mean(predicted.astype(str) == texts):.2%} of {len(labels)} images"
