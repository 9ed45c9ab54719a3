"""Numbers of NumPy, as a search over parameters passes them, are as good as Python's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convrfm import ConvRFMClassifier, DeepConvRFMClassifier, load

from .cases import CHEAP, pictures

NUMBERS: dict[str, Any] = {"n_iterations": 1, "agop_samples": 9, "random_state": 3, "ridge": 0.5, "shrinkage": 0.25}
WAYS: dict[str, dict[str, Any]] = {
    "exact": {"memory_budget": 10**9, "cv": 2},
    "cg": {"memory_budget": 10**9},
    "features": {"memory_budget": 10**9, "n_features": 20},
}


def of_numpy(values: dict[str, Any]) -> dict[str, Any]:
    return {name: (np.int64 if isinstance(value, int) else np.float32)(value) for name, value in values.items()}


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("kind", [ConvRFMClassifier, DeepConvRFMClassifier])
@pytest.mark.parametrize("way", WAYS)
def test_a_fit_and_its_file_are_the_same(kind: type, way: str, tmp_path: Path) -> None:
    x, y = pictures(18)
    plain = {**CHEAP[kind], **NUMBERS, **WAYS[way], "solver": way}
    numbers = {name: value for name, value in plain.items() if name in NUMBERS or name in WAYS[way]}
    expected = kind(**plain).fit(x, y).decision_function(x)
    model = kind(**{**plain, **of_numpy(numbers)}).fit(x, y)
    np.testing.assert_array_equal(model.decision_function(x), expected)
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "model.safetensors").decision_function(x), expected)
