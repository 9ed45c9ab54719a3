"""Small pictures with a line of text each."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from .labels import drawn_label
from .pictures import image_picture
from .style import bare, house_style

COLUMNS = 6
SIDE = 1.25  # inches


@house_style()
def plot_thumbnails(images: Float[np.ndarray, "m c h w"], labels: Sequence[str]) -> Figure:
    """Draw images six in a row, each on its own scale (see `image_picture`), with its label above.

    Args:
        images: The images.
        labels: A text for each, of one line or several.
    """
    rows = math.ceil(len(images) / COLUMNS)
    figure = Figure(figsize=(COLUMNS * SIDE, rows * (SIDE + 0.4)), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for number, (ax, image, label) in enumerate(zip(panels, images, labels, strict=False)):
        ax.imshow(image_picture(image), cmap="gray", vmin=0, vmax=1)
        lines = [drawn_label(line, number) for line in label.splitlines()]
        ax.set_title("\n".join(lines), fontsize=7.5, parse_math=False)
        bare(ax)
    for ax in panels[len(images) :]:
        ax.remove()
    return figure
