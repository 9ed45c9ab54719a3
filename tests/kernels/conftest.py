"""Golden values and the architectures they belong to."""

from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session")
def golden_kernels() -> dict[str, dict[str, np.ndarray]]:
    return {shape: dict(np.load(GOLDEN / f"kernels_{shape}.npz")) for shape in ("1x8x8", "3x10x8")}


@pytest.fixture(scope="session")
def golden_gradients() -> dict[str, dict[str, np.ndarray]]:
    return {shape: dict(np.load(GOLDEN / f"gradients_{shape}.npz")) for shape in ("1x8x8", "3x10x8")}
