"""What the test suite needs before the first import of an optional library."""

import importlib.util
import os

import pytest
import torch

OPERATOR_STUBS = []
if importlib.util.find_spec("torchvision") and not torch.cuda.is_available():
    # torchvision's wheel on the package index is built for CUDA: beside a CPU-only torch its compiled operators do not
    # load, and the import fails on these two. No model that is tested here calls them.
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    OPERATOR_STUBS.append(library)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "CONVRFM_DATA" not in os.environ:
        for item in items:
            if item.get_closest_marker("real_data"):
                item.add_marker(pytest.mark.skip(reason="CONVRFM_DATA is not set"))
