"""Tensors of numbers that lie one beside the other in memory, from what people hold."""

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError


def check_dense(name: str, tensor: Tensor) -> None:
    """Raise `InputError` for a tensor whose numbers do not lie so: a sparse, nested or quantized one, or one without any."""
    if tensor.is_meta:
        raise InputError(
            f"{name} must hold numbers; a tensor on the meta device has none. Make it on a device of this machine."
        )
    if tensor.is_nested:
        raise InputError(
            f"{name} must be one dense tensor; got a nested one. Bring all to one shape, then torch.stack."
        )
    if tensor.is_quantized:
        raise InputError(f"{name} must not be quantized; got {tensor.dtype}. Pass {name}.dequantize().")
    if tensor.layout != torch.strided:
        raise InputError(f"{name} must be dense; got {tensor.layout}. Pass {name}.to_dense().")


def from_array(name: str, array: np.ndarray) -> Tensor:
    """The array as a tensor, on the same memory where torch may share it: not with read-only or big-endian ones.

    Raises:
        InputError: for an array of other things than numbers, or one of which a mask hides some.
    """
    if np.ma.is_masked(array):
        raise InputError(f"{name} must not be masked; got a masked {array.shape}. Pass its filled(value).")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    try:
        return torch.from_numpy(np.require(native, requirements=["C", "W"]))
    except TypeError as error:
        remedy = ""
        if array.dtype.kind in "fc":
            remedy = f" Pass {name}.astype(np.float32)."
        elif array.dtype == object:
            remedy = f" Of arrays of one shape make one by np.stack(list({name}))."
        raise InputError(f"{name} must hold numbers of at most 64 bits; got {array.dtype}.{remedy}") from error
