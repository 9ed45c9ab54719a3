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
        *("mm", "bmm", "addmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "vdot", "linear", "trilinear", "matmul"),
        *("convolution", "conv", "conv2d", "conv3d", "attention", "solve", "lstsq", "cdist", "euclidean"),
        *("mkldnn_rnn_layer", "_cudnn_rnn", "miopen_rnn", "lstm"),
    )
)
"""Names of the operations below autograd that multiply, and words in their names."""

Overlooked = Callable[[Sequence[tuple[Tensor, int]], bool], None]
"""Takes the operands, each with what it depends on, and whether there are weights among them that are no tensors."""


class Provenance(TorchDispatchMode):
    """Follows values through the operations that run within it.

    Args:
        overlooked: Told the operands of every product of weights that runs outside `following`, and the matrices of weights
            that an operation of another library takes beside the images.

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
        if func is torch.ops.aten.lift_fresh.default:  # a constant, perhaps where a value was that is gone
            self._origins.update(dict.fromkeys(keys, 0))
        origin = 0
        for key in keys:
            origin |= self._of(key)
        for result in _tensors((results,)):
            for key in self._keys(result):
                self._origins[key] = origin | (self._of(key) if key in keys else 0)
        if origin & IMAGES and not self._followed and isinstance(results, bool | int | float):
            self.decides = True
        if not self._followed:
            self._tell(func.name(), operands, origin, any(isinstance(value, torch.ScriptObject) for value in args))
        return results

    def _tell(self, operation: str, operands: Sequence[Tensor], origin: int, packed: bool) -> None:
        if _multiplies(operation):
            if origin & WEIGHTS or packed:
                self._overlooked([(operand, self.origin(operand)) for operand in operands], packed)
        elif origin & IMAGES and not operation.startswith(("aten::", "prims::")):
            known = [(operand, self.origin(operand)) for operand in operands if operand.ndim > 1]
            matrices = [(matrix, of) for matrix, of in known if of & (WEIGHTS | IMAGES) == WEIGHTS]
            if matrices:
                self._overlooked(matrices, False)

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
    namespace, _, name = operation.partition(".")[0].rpartition("::")
    return not namespace or not MULTIPLYING.isdisjoint({name, *name.split("_")})


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def has_storage(tensor: Tensor) -> bool:
    """Whether its values are in a storage of its own, unlike those of sparse tensors and within `torch.vmap`."""
    return tensor.layout is torch.strided and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
