"""Convolutions on a GPU round where matrix products do, and nothing else of torch's settings changes."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from convrfm.maths.precision import convolutions_as_products

cudnn: Any = torch.backends.cudnn
products = torch.backends.cuda.matmul
pytestmark = pytest.mark.skipif(not hasattr(products, "fp32_precision"), reason="torch before 2.9")


@pytest.fixture(autouse=True)
def as_found() -> Iterator[None]:
    before = products.fp32_precision, cudnn.conv.fp32_precision
    yield
    products.fp32_precision, cudnn.conv.fp32_precision = before


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("by_name", [False, True], ids=["allow_tf32", "fp32_precision"])
@pytest.mark.parametrize("own", ["tf32", "ieee"])
def test_convolutions_round_as_products_do_whichever_way_that_was_set(rounded: bool, by_name: bool, own: str) -> None:
    cudnn.conv.fp32_precision = own
    if by_name:
        products.fp32_precision = "tf32" if rounded else "ieee"
    else:
        products.allow_tf32 = rounded
    with convolutions_as_products(torch.device("cuda")):
        assert cudnn.conv.fp32_precision == ("tf32" if rounded else "ieee")
    assert cudnn.conv.fp32_precision == own
    with convolutions_as_products(torch.device("cpu")):
        assert cudnn.conv.fp32_precision == own


def test_what_else_is_set_of_cudnn_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"enabled": False, "benchmark": True, "deterministic": True}.items():
        monkeypatch.setattr(cudnn, name, value)
    with convolutions_as_products(torch.device("cuda")):
        assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == (False, True, True)
    assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == (False, True, True)
