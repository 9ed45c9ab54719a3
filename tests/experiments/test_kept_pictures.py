"""What a line keeps is the picture, to its 255 levels; photographs come as the paper scales them."""

import json

import numpy as np
import pytest
import torch

from convrfm.experiments.kept_pictures import kept, seen_again
from convrfm.experiments.photographs import bundled_photographs, scaled_as_the_paper


@pytest.mark.parametrize("shape", [(5, 7), (3, 6, 4)])
def test_a_small_picture_is_kept_to_its_levels(shape: tuple[int, ...]) -> None:
    picture = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    again = seen_again(json.loads(json.dumps(kept(picture))))
    assert again.shape == shape
    np.testing.assert_allclose(again, picture, atol=0.51 * float(picture.max() - picture.min()) / 255)


def test_a_constant_picture_is_kept() -> None:
    np.testing.assert_allclose(seen_again(kept(torch.full((4, 4), 2.5))), 2.5)


def test_a_large_picture_is_averaged_down() -> None:
    picture = torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(0))
    blocks = picture.reshape(3, 112, 2, 112, 2).mean((2, 4))
    np.testing.assert_allclose(seen_again(kept(picture)), blocks, atol=0.002)


def test_photographs_have_about_the_mean_and_deviation_that_the_paper_takes_away() -> None:
    photographs = bundled_photographs()
    assert photographs.shape == (2, 3, 224, 224)
    assert 0 <= float(photographs.min()) < 0.1 < 0.9 < float(photographs.max()) <= 1
    expected = (photographs[:, 0] * 255 - 125.3) / 63.0
    torch.testing.assert_close(scaled_as_the_paper(photographs)[:, 0], expected, atol=1e-5, rtol=1e-5)
