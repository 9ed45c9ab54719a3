"""Where patch metrics look: the length of each patch under each of them."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from .pictures import image_picture
from .style import MAGNITUDE, MUTED, bare, house_style

_WIDEST_FIGURE = 7.6  # inches
_NARROW_PANEL = 1.2


@house_style()
def plot_feature_maps(images: Float[np.ndarray, "m c h w"], maps: Mapping[str, Float[np.ndarray, "m _ _"]]) -> Figure:
    """Draw one row for each image: the image, then its maps, such as |x[u]| and |M^(1/2) x[u]| at every position u.

    Each panel has its own color scale, from its smallest value (dark) to its largest (bright), because maps
    measure with different metrics; the range of a map is written below it. See `image_picture` for the image.

    Args:
        images: The images.
        maps: What to write above each column, and a map for every image.
    """
    height, width = images.shape[2:]
    columns = 1 + len(maps)
    panel_width = min(1.95 if width <= height else 2.25, _WIDEST_FIGURE / columns)
    panel_height = panel_width * height / width
    digits = 4 if panel_width > _NARROW_PANEL else 2
    figure = Figure(
        figsize=(columns * panel_width + 0.3, len(images) * (panel_height + 0.27) + 0.3), layout="constrained"
    )
    panels = figure.subplots(len(images), columns, squeeze=False)
    for row, image, *shown in zip(panels, images, *maps.values(), strict=True):
        row[0].imshow(image_picture(image), cmap="gray", vmin=0, vmax=1)
        for ax, feature_map in zip(row[1:], shown, strict=True):
            ax.imshow(feature_map, cmap=MAGNITUDE)
            low, high = (f"{float(f'{value:.{digits}g}'):g}" for value in (feature_map.min(), feature_map.max()))
            ax.set_xlabel(f"{low} to {high}", fontsize=8 if digits > 2 else 7, color=MUTED, labelpad=3)
        for ax in row:
            bare(ax)
            ax.set_anchor("N")
    for ax, title in zip(panels[0], ("image", *maps), strict=True):
        ax.set_title(title)
    return figure
