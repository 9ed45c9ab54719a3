"""Published architectures: every layer agrees with the independent gradient that benchmarks/architectures compares with."""

import importlib.util

import pytest

from benchmarks.architectures.compare import outcome

pytestmark = [
    pytest.mark.skipif(not importlib.util.find_spec("timm"), reason="timm is not installed"),
    pytest.mark.filterwarnings("ignore"),
]
NETWORKS = [
    "test_resnet",  # residual
    "test_byobnet",  # attention to channels
    "test_mambaout",  # gated convolutions
    "lcnet_035",  # depthwise
    "efficientvit_b0",  # linear attention
]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_agrees_with_the_independent_gradient(name: str) -> None:
    import timm

    found = outcome(lambda: timm.create_model(name, num_classes=3))
    assert found["layers"] == found["compared"] > 10
    assert found["worst"] < 1e-9
