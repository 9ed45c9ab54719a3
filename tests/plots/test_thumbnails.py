import numpy as np
import pytest

from convrfm.plots import plot_thumbnails
from convrfm.plots.pictures import image_picture
from convrfm.plots.thumbnails import COLUMNS


@pytest.mark.parametrize("n", [1, COLUMNS, COLUMNS + 2])
def test_every_image_stands_below_its_own_label(n: int) -> None:
    images = np.random.default_rng(0).standard_normal((n, 1, 4, 5))
    labels = [f"cat {i}\n→ dog 9{i}%" for i in range(n)]
    panels = plot_thumbnails(images, labels).axes
    assert [ax.get_title("left") for ax in panels] == labels
    for ax, image in zip(panels, images, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image_picture(image))
