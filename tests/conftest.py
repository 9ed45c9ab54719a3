"""Fixtures for all tests, and what is needed before the first import of an optional library."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from jaxtyping import config

OPERATOR_STUBS = []
if importlib.util.find_spec("torchvision") and not torch.cuda.is_available():
    # torchvision's wheel on the package index is built for CUDA: beside a CPU-only torch its compiled operators do not
    # load, and the import fails on these two. No model that is tested here calls them.
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    OPERATOR_STUBS.append(library)

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when the programs of the cuda engine are defined


@pytest.fixture
def as_a_user() -> Iterator[None]:
    """Without the tests' runtime type checks: wrong input reaches the library as it does for its users."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture
def real_data() -> Path:
    """The folder of real images and trained weights that CONVRFM_DATA names."""
    if "CONVRFM_DATA" not in os.environ:
        pytest.skip("CONVRFM_DATA names no folder of real data")
    return Path(os.environ["CONVRFM_DATA"])
