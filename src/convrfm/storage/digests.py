"""A number that changes with every bit of what a file says."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor


def digest(values: Mapping[str, Any], tensors: Mapping[str, Shaped[Tensor, "..."]]) -> str:
    """SHA-256 over plain values and over the names, types, shapes and bytes of tensors on any device, in the order of names."""
    total = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
