"""Where a patch metric looks: the length of each patch before and after learning."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from .pictures import image_picture
from .style import MAGNITUDE, MUTED, bare, house_style


@house_style()
def plot_feature_maps(
    images: Float[np.ndarray, "m c h w"],
    before: Float[np.ndarray, "m rows cols"],
    after: Float[np.ndarray, "m rows cols"],
) -> Figure:
    """Draw one row for each image: the image, |x[u]| (M = identity), and |M^(1/2) x[u]| at every position u.

    Each panel has its own colour scale, from its smallest value (dark) to its largest (bright), because the
    two maps measure with different metrics; the range of a map is written below it. See `image_picture` for
    the image.

    Args:
        images: The images.
        before: Length of each patch under the identity.
        after: Length of each patch under the learned metric.
    """
    height, width = images.shape[2:]
    panel_width = 1.95 if width <= height else 2.25
    panel_height = panel_width * height / width
    figure = Figure(figsize=(3 * panel_width + 0.3, len(images) * (panel_height + 0.27) + 0.3), layout="constrained")
    panels = figure.subplots(len(images), 3, squeeze=False)
    for row, image, first, second in zip(panels, images, before, after, strict=True):
        row[0].imshow(image_picture(image), cmap="gray", vmin=0, vmax=1)
        for ax, feature_map in ((row[1], first), (row[2], second)):
            ax.imshow(feature_map, cmap=MAGNITUDE)
            ax.set_xlabel(f"{feature_map.min():.4g} to {feature_map.max():.4g}", fontsize=8, color=MUTED, labelpad=3)
        for ax in row:
            bare(ax)
            ax.set_anchor("N")
    for ax, title in zip(panels[0], ("image", "before learning", "after learning"), strict=True):
        ax.set_title(title)
    return figure
