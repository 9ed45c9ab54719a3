"""Fixtures for all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from jaxtyping import config

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
