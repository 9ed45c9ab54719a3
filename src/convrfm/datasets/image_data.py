"""`ImageData`: images and labels, ready to fit and to score."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Shaped

from ..quantities import counted
from .preprocessing import Preprocessing

Selection = tuple[Float32[np.ndarray, "s c h w"], Shaped[np.ndarray, " s"]]
CLASSES_SHOWN = 8


@dataclass(frozen=True, repr=False)
class ImageData:
    """Images and labels, ready to fit and to score, and how they came about.

    Attributes:
        x_train: Training images, in an order of which every leading part holds the classes in proportion.
        y_train: Their labels, integers or strings.
        x_test: Test images, in the order in which they are stored.
        y_test: Their labels.
        classes: All labels, sorted.
        names_train: File names, or positions in the array, of the training images.
        names_test: The same of the test images.
        preprocessing: How raw pictures became `x`.
        notes: Sentences on what was held out, drawn and left out.
        selection: Images and labels of a validation part, for `fit(..., selection=...)`; None where there is none, or it
            joined the training images.
    """

    x_train: Float32[np.ndarray, "n c h w"]
    y_train: Shaped[np.ndarray, " n"]
    x_test: Float32[np.ndarray, "m c h w"]
    y_test: Shaped[np.ndarray, " m"]
    classes: tuple[int | str, ...]
    names_train: tuple[str, ...]
    names_test: tuple[str, ...]
    preprocessing: Preprocessing
    notes: tuple[str, ...]
    selection: Selection | None = None

    def __repr__(self) -> str:
        return f"<ImageData: {self.summary}>"

    @property
    def summary(self) -> str:
        """How many images there are, of which size and in which classes."""
        more = f", and {len(self.classes) - CLASSES_SHOWN} more" if len(self.classes) > CLASSES_SHOWN else ""
        size = " x ".join(map(str, self.x_train.shape[1:]))
        apart = "" if self.selection is None else f", {len(self.selection[0])} for validation"
        return (
            f"{counted(len(self.x_train), 'image')} to train, {len(self.x_test)} to test{apart}, {size} (channels "
            f"x height x width), {len(self.classes)} classes: {', '.join(map(str, self.classes[:CLASSES_SHOWN]))}{more}"
        )
