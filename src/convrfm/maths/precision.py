"""Computing as precisely as what is given, whatever surrounds the call."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch


@contextmanager
def full_precision() -> Iterator[None]:
    """Without a surrounding `torch.autocast`, which would round matrix products to half precision.

    Nor is torch's default device another than the CPU, where what is neither given nor made of it belongs.
    """
    with ExitStack() as stack:
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def convolutions_as_products(device: torch.device) -> Iterator[None]:
    """Convolutions as precise as matrix products.

    On a GPU cuDNN would round to TF32 of its own accord; within, it does so only where torch's matrix products do
    (`torch.backends.cuda.matmul`: not unless set). Nothing else of cuDNN changes.
    """
    cudnn: Any = torch.backends.cudnn
    products = torch.backends.cuda.matmul
    if device.type != "cuda":
        yield
    elif hasattr(products, "fp32_precision"):
        before = cudnn.conv.fp32_precision
        cudnn.conv.fp32_precision = "tf32" if products.fp32_precision == "tf32" else "ieee"
        try:
            yield
        finally:
            cudnn.conv.fp32_precision = before
    else:  # before torch 2.9
        as_set = {name: getattr(cudnn, name) for name in ("enabled", "benchmark", "deterministic")}
        with cudnn.flags(**as_set, allow_tf32=products.allow_tf32):
            yield
