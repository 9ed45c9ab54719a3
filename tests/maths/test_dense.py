"""What has no numbers one beside the other is refused in words, wherever images come in."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from convrfm import ConvRFMClassifier, cnfa, kernels
from convrfm.errors import InputError
from convrfm.maths.dense import from_array

X = torch.rand(6, 1, 6, 6, generator=torch.Generator().manual_seed(0))
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "sparse": (X.to_sparse, r"to_dense\(\)"),
    "compressed": (lambda: X[:, 0].to_sparse_bsr((2, 2)), r"to_dense\(\)"),
    "meta": (lambda: X.to("meta"), "meta device"),
    "nested": (lambda: torch.nested.nested_tensor([X[0], X[1]]), "torch.stack"),
    "quantized": (lambda: torch.quantize_per_tensor(X, 0.1, 0, torch.quint8), r"dequantize\(\)"),
    "strings": (lambda: np.full((6, 1, 6, 6), "a"), "numbers.*U1"),
    "arrays": (lambda: np.array([np.zeros((1, 6, 6)), None] * 3, dtype=object), "np.stack|NoneType"),
}


def measured(x: Any) -> Any:
    return cnfa.measure(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(32, 2)), x)


DOORS: dict[str, Callable[[Any], Any]] = {
    "kernel": kernels.Laplace(3),
    "AGOP": lambda x: kernels.Laplace(3).agop(X, x, np.ones((6, 1))),
    "fit": lambda x: ConvRFMClassifier(kernels.Laplace(3), n_iterations=0).fit(x, [0, 1] * 3),
    "predict": lambda x: ConvRFMClassifier(kernels.Laplace(3), n_iterations=0).fit(X, [0, 1] * 3).predict(x),
    "meter": measured,
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # torch's own, of how such are made
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", WRONG)
def test_every_door_refuses_what_is_not_dense(door: str, kind: str) -> None:
    make, remedy = WRONG[kind]
    value = make()
    with pytest.raises(InputError, match=remedy):
        DOORS[door](value)


@pytest.mark.parametrize("kind", [">f4", "<f8", ">i2", "u1", "?"])
def test_arrays_of_numbers_become_tensors_of_the_same(kind: str) -> None:
    array = np.arange(12).reshape(3, 4)[:, ::2].astype(kind)
    array.setflags(write=False)
    tensor = from_array("x", array)
    assert tensor.tolist() == array.tolist()
    assert tensor.numpy().dtype == array.dtype.newbyteorder("=")
