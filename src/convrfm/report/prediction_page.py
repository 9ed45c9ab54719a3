"""The page of `convrfm predict`: every picture with its probabilities and where the model looks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..plots import plot_feature_maps
from ..quantities import counted
from .page import Page

MOST_PICTURES = 30
MOST_CLASSES = 5


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one picture.

    Attributes:
        name: The picture's name.
        image: As the model takes it, (c, h, w).
        feature_map: |M^(1/2) x[u]| at every position under the first layer's learned metric; None where none was learned.
        predicted: The label, or the target of a regression.
        probabilities: Of the classes, (k,); None for a regression.
        label: The true label; None where it is not known.
    """

    name: str
    image: Float[np.ndarray, "c h w"]
    feature_map: Float[np.ndarray, "rows cols"] | None
    predicted: object
    probabilities: Float[np.ndarray, " k"] | None
    label: object = None


def likeliest(
    probabilities: Float[np.ndarray, " k"], classes: Sequence[object] | np.ndarray
) -> list[tuple[object, float]]:
    """The likeliest classes, at most five, with their probabilities."""
    order = np.argsort(-probabilities, kind="stable")[:MOST_CLASSES]
    return [(classes[i], float(probabilities[i])) for i in order]


def prediction_page(
    title: str, predictions: Sequence[Prediction], classes: Sequence[object] | np.ndarray, notes: Sequence[str]
) -> Page:
    """A section for each picture.

    Args:
        title: the heading.
        predictions: of the pictures; at most thirty are shown.
        classes: the model's, in the order of the probabilities; of no use for a regression.
        notes: remarks on the pictures.
    """
    shown = predictions[:MOST_PICTURES]
    page = Page(title, counted(len(predictions), "picture"))
    mapped = any(each.feature_map is not None for each in shown)
    how = page.section("How to read this").prose(
        "Every picture stands as the model takes it, beside the length of its patches under the learned metric: bright is "
        "what the model looks at. Every panel has its own color scale."
        if mapped
        else "Every picture stands as the model takes it. There is no map of what the model looks at: no metric on patches of "
        "pixels was learned (round 0 is kept)."
    )
    left_out = len(predictions) - len(shown)
    how.note(*notes, *([f"{counted(left_out, 'more picture')} in the table of predictions only."] if left_out else []))
    for each in shown:
        section = page.section(each.name)
        section.lead(f"{each.predicted}" if each.label is None else f"{each.predicted}; its label is {each.label}")
        maps = {} if each.feature_map is None else {"where the model looks": each.feature_map[None]}
        section.figure(
            plot_feature_maps(each.image[None], maps),
            caption=f"The picture{', and |M^(1/2) x[u]| at every position u' * mapped}.",
            alt=f"{each.name}{', and where the model looks in it' * mapped}.",
        )
        if each.probabilities is not None:
            section.table(
                ["Class", "Probability"],
                [(name, f"{p:.1%}") for name, p in likeliest(each.probabilities, classes)],
                caption="The likeliest classes.",
                marked_rows=[0],
            )
    return page
