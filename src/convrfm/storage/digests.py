"""A number that changes with every bit of what a file says."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from .values import values_from


def digest(values: Mapping[str, Any], tensors: Mapping[str, Shaped[Tensor, "..."]]) -> str:
    """SHA-256 over plain values and over the names, types, shapes and bytes of tensors on any device, in the order of names."""
    total = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def with_digest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values beside their digest, which tells whether they are the same when they are read again."""
    plain = json.loads(json.dumps(values))  # as they are when they are read again: keys are texts
    return {**plain, "digest": digest(plain, {})}


def values_with_digest(text: str) -> dict[str, Any]:
    """What `with_digest` was given, from JSON.

    Raises:
        ValueError: as `values_from`, and if the values are not those that were written, or have no digest.
    """
    values = values_from(text)
    if "digest" not in values:
        raise ValueError("it has no digest: this version did not write it")
    if values.pop("digest") != digest(values, {}):
        raise ValueError("it does not say what was written")
    return values
