"""What a device has no room for is told in words."""

import pytest
import torch

from convrfm.errors import InputError
from convrfm.kernels.devices import room_for_matrix


class OfAFullCard(torch.Tensor):
    """Images on a device that gives no more memory."""

    def new_empty(self, *size: int) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_matrix_without_room_comes_with_its_size_and_the_remedy() -> None:
    with pytest.raises(InputError, match=r"50 x 20000 takes 0\.0 GB.*rows at a time"):
        room_for_matrix(torch.zeros(50, 1, 3, 3).as_subclass(OfAFullCard), 20_000)
    assert room_for_matrix(torch.zeros(5, 1, 3, 3), 7).shape == (5, 7)
