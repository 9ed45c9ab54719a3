"""Where every value of a forward pass comes from: the images, the weights, or both.

A dispatch mode sees each operation that torch carries out, also inside functions that are one call to their user. It
keeps for every storage what its content was computed from, and reports products that nobody has followed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

IMAGES, WEIGHTS, PRODUCTS = 1, 2, 4
"""What a value depends on, as bits: the images, a parameter, the result of a product that is followed."""
MULTIPLYING = frozenset(
    (
        *(
            "convolution",
            "_convolution",
            "conv_tbc",
            "deform_conv2d",
            "mm",
            "addmm",
            "bmm",
            "baddbmm",
            "addbmm",
            "mv",
            "addmv",
            "dot",
            "linear",
        ),
        *("_sparse_mm", "_sparse_addmm", "sparse_sampled_addmm", "_sparse_sparse_matmul"),
        *("_cdist_forward", "_euclidean_dist", "_linalg_solve_ex", "linalg_solve_triangular", "linalg_lstsq"),
        *("_trilinear", "mkldnn_rnn_layer", "_cudnn_rnn", "miopen_rnn"),
        *(f"_scaled_dot_product_{how}" for how in ("flash_attention", "efficient_attention", "cudnn_attention")),
        *("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_fused_attention_overrideable"),
    )
)
"""Names of the operations below autograd that multiply."""

Overlooked = Callable[[Sequence[Tensor]], None]


class Provenance(TorchDispatchMode):
    """Follows values through the operations that run within it.

    Args:
        overlooked: Told the operands of every product of weights that runs outside `following`.

    Attributes:
        decides: Whether a plain number was made of the images, by which a network can decide what it runs.
    """

    supports_higher_order_operators = True

    def __init__(self, overlooked: Overlooked) -> None:
        super().__init__()
        self._overlooked = overlooked
        self._origins: dict[int, int] = {}
        self._without_storage: dict[int, Tensor] = {}
        self._followed = 0
        self.decides = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled while it is watched, and torch would import its compiler to say so

    def mark(self, tensor: Tensor, origin: int) -> None:
        """Say that a tensor comes from there, too."""
        for key in self._keys(tensor):
            self._origins[key] = self._origins.get(key, 0) | origin

    def origin(self, tensor: Tensor) -> int:
        """Everything that a tensor depends on, as bits."""
        return sum({bit for bit in (IMAGES, WEIGHTS, PRODUCTS) for key in self._keys(tensor) if self._of(key) & bit})

    @contextmanager
    def following(self) -> Iterator[None]:
        """Products within are known to the caller."""
        self._followed += 1
        try:
            yield
        finally:
            self._followed -= 1

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        results = func(*args, **(kwargs or {}))
        operands = list(_tensors((*args, *(kwargs or {}).values())))
        keys = {key for operand in operands for key in self._keys(operand)}
        origin = 0
        for key in keys:
            origin |= self._of(key)
        for result in _tensors((results,)):
            for key in self._keys(result):
                self._origins[key] = origin | (self._of(key) if key in keys else 0)
        if origin & IMAGES and not self._followed and isinstance(results, bool | int | float):
            self.decides = True
        if origin & WEIGHTS and not self._followed and _multiplies(func.name()):
            self._overlooked(operands)
        return results

    def _of(self, key: int) -> int:
        return self._origins.get(key, 0)

    def _keys(self, tensor: Tensor) -> tuple[int, ...]:
        """Of its storage; of a sparse or nested tensor, its own, and it is kept, so that no other takes its address."""
        if has_storage(tensor):
            return (tensor.untyped_storage()._cdata,)
        if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
            return ()
        self._without_storage[id(tensor)] = tensor
        return (-id(tensor),)


def _multiplies(operation: str) -> bool:
    """As `aten::mm` does; what has no namespace, as `cond`, runs any operations unseen."""
    return "::" not in operation or operation.partition("::")[2].partition(".")[0] in MULTIPLYING


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def has_storage(tensor: Tensor) -> bool:
    """Whether its values are in a storage of its own, unlike those of sparse tensors and within `torch.vmap`."""
    return tensor.layout is torch.strided and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
