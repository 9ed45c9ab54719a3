"""A fit whose kernel matrix has no room on its device says so, and what to do."""

from typing import Any

import numpy as np
import pytest
import torch

from convrfm import ConvRFMClassifier, kernels
from convrfm.errors import InputError
from convrfm.estimators.solving import solver
from convrfm.kernels.infinite import NTK


class FromAFullCard(NTK):
    """Its matrix has gone to another device than the images'."""

    def __call__(self, *args: Any, **keywords: Any) -> torch.Tensor:
        return super().__call__(*args, **keywords).to("meta")


def without_room(*args: Any, **keywords: Any) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize("where", ["the matrix", "its decomposition"])
def test_a_fit_without_room_comes_with_its_size_and_the_remedy(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = (FromAFullCard if where == "the matrix" else NTK)(kernels.vanilla(1))
    if where != "the matrix":
        monkeypatch.setattr(solver, "RidgePath", without_room)
    x = np.random.default_rng(0).standard_normal((6, 1, 5, 5))
    with pytest.raises(InputError, match=r'a fit to 6 images.*cpu has no room.*pass device="cpu"'):
        ConvRFMClassifier(kernel=kernel, n_iterations=0).fit(x, [0, 1] * 3)
