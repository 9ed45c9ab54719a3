import numpy as np
import pytest

from convrfm.plots.pictures import image_picture, patch_picture


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_an_image_fills_the_range_from_zero_to_one(channels: int) -> None:
    picture = image_picture(np.random.default_rng(0).standard_normal((channels, 4, 6)))
    assert picture.shape == ((4, 6, 3) if channels == 3 else (4, 6))
    assert (picture.min(), picture.max()) == (0, 1)


def test_a_constant_image_is_mid_gray() -> None:
    assert (image_picture(np.full((3, 2, 2), 7.0)) == 0.5).all()


def test_zero_is_mid_gray_in_color_patches() -> None:
    patch = np.zeros((3, 3, 3))
    patch[1, 0, 0] = -2
    picture = patch_picture(patch)
    np.testing.assert_array_equal(picture[0, 0], [0.5, 0, 0.5])
    np.testing.assert_array_equal(picture[1:], 0.5)


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 64])
def test_every_channel_is_a_tile(channels: int) -> None:
    patch = np.random.default_rng(0).standard_normal((channels, 3, 3))
    picture = patch_picture(patch)
    shown = np.sort(picture[np.isfinite(picture)])
    np.testing.assert_allclose(shown, np.sort(patch.ravel()) / np.abs(patch).max())


def test_a_zero_patch_is_zero() -> None:
    assert (patch_picture(np.zeros((1, 3, 3))) == 0).all()
