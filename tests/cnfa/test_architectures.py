"""Published architectures: every layer agrees with the independent gradient that benchmarks/architectures compares with."""

import importlib.util
import json
from typing import Any

import pytest

from benchmarks.architectures.compare import outcome
from benchmarks.architectures.families import families
from benchmarks.architectures.page import RESULTS, of_the_suite

RECORDED: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text())
pytestmark = [
    pytest.mark.architectures,
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("timm", "torchvision"))), reason="timm and torchvision are not installed"
    ),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def members() -> dict[str, dict[str, Any]]:
    """The architectures of every family, by name."""
    return {family: dict(architectures) for family, architectures in families().items()}


@pytest.mark.parametrize("family", of_the_suite(RECORDED))
def test_every_layer_agrees_with_the_independent_gradient(family: str, members: dict[str, dict[str, Any]]) -> None:
    recorded = RECORDED[family]
    found = outcome(members[family][recorded["name"]])
    assert found["layers"] == found["compared"] == recorded["layers"]
    assert found["worst"] < 1e-9
    assert found["skipped"] == recorded["skipped"]
