"""Batches of images from whatever holds them, as arguments of the network."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from ..errors import InputError
from ..maths.dense import check_dense, from_array

ImageSource = Tensor | np.ndarray | Iterable[Any]
ToArguments = Callable[[Any], Any]


@dataclass(frozen=True)
class Batch:
    """What one call of the network takes; every tensor whose first axis has as many entries as the first has images.

    Attributes:
        arguments: Positional.
        keywords: By name.
        labels: Of the images, for a loss; None without.
    """

    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    labels: Any = None

    @cached_property
    def tensors(self) -> list[Tensor]:
        """Those among the arguments, nested ones too."""
        return list(_leaves((*self.arguments, *self.keywords.values())))

    def __len__(self) -> int:
        return len(self.tensors[0])

    @property
    def numel(self) -> int:
        """Entries of one image."""
        return sum(tensor[:1].numel() for tensor in self.tensors if self._has_images(tensor))

    def take(self, index: slice | list[int]) -> "Batch":
        """Some of the images."""
        return self._mapped(lambda tensor: tensor[index] if self._has_images(tensor) else tensor, labels=True)

    def split(self, size: int) -> Iterator["Batch"]:
        """Pieces of at most this many images."""
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))

    def placed(self, network: nn.Module) -> "Batch":
        """A copy where the network's floating parameters are, floating tensors in their precision."""
        like = next((p for p in network.parameters() if p.is_floating_point()), None)

        def copied(tensor: Tensor) -> Tensor:
            if like is not None:
                tensor = tensor.to(like.device, like.dtype if tensor.is_floating_point() else tensor.dtype)
            return tensor.detach().clone()

        placed = self._mapped(copied, labels=False)
        if like is None or self.labels is None:
            return placed
        return replace(placed, labels=_map(lambda tensor: tensor.to(like.device), self.labels))

    @property
    def description(self) -> str:
        """In words, for messages."""
        shapes = [f"shape {tuple(tensor.shape)} and type {tensor.dtype}" for tensor in self.tensors]
        return f"images of {', '.join(shapes)}"

    def _has_images(self, tensor: Tensor) -> bool:
        return tensor.ndim > 0 and len(tensor) == len(self)

    def _mapped(self, function: Callable[[Tensor], Tensor], labels: bool) -> "Batch":
        mapped = _map(function, (self.arguments, dict(self.keywords)))
        return Batch(*mapped, labels=_map(function, self.labels) if labels else self.labels)


def batches(
    images: ImageSource, *, labels: Any = None, to_arguments: ToArguments | None = None, progress: bool = False
) -> Iterator[Batch]:
    """The batches of a loader, or one batch if all images are given at once.

    Args:
        images: A tensor or array `(n, ...)`, or an iterable of batches.
        labels: Of images that are given at once, or one for all; None to take them from the loader's pairs.
        to_arguments: From what the loader gives to the network's arguments: a tensor, a tuple or a dict of them.
        progress: Whether to show a progress bar.

    Raises:
        InputError: If a batch is not of that form.
    """
    at_once = isinstance(images, Tensor | np.ndarray)
    stream: Iterable[Any] = [images] if at_once else images
    if not isinstance(stream, Iterable):
        raise InputError(f"images must be a tensor, an array or an iterable of batches; got {type(images).__name__}.")
    for item in track(stream, "measuring", transient=True) if progress else stream:
        batch = _batch(item, to_arguments)
        yield replace(batch, labels=_labels(item, labels, len(batch), at_once))


def number_of_batches(images: ImageSource) -> int | None:
    """How many there are; None where that is not known before they come."""
    if isinstance(images, Tensor | np.ndarray):
        return 1
    return len(images) if isinstance(images, Sized) else None


def _batch(item: Any, to_arguments: ToArguments | None) -> Batch:
    if to_arguments is None:
        batch = Batch((_tensors("images", item[0] if isinstance(item, tuple | list) and item else item),))
    else:
        given = _tensors("images", to_arguments(item))
        batch = (
            Batch((), given) if isinstance(given, Mapping) else Batch(given if isinstance(given, tuple) else (given,))
        )
    if (isinstance(item, Mapping) and to_arguments is None) or not batch.tensors or batch.tensors[0].ndim < 2:
        got = f"shape {tuple(batch.tensors[0].shape)}" if batch.tensors else type(item).__name__
        raise InputError(
            f"a batch must be a tensor (n, ...) of images, or a tuple or list that begins with one; got {got}. For a single "
            "image pass image[None]; for other batches pass batch, a function from one to the network's arguments."
        )
    check_dense("images", batch.tensors[0])
    if not len(batch):
        raise InputError(f"images must hold at least one image a batch; got shape {tuple(batch.tensors[0].shape)}.")
    return batch


def _labels(item: Any, labels: Any, n: int, at_once: bool) -> Any:
    if labels is None:
        found = item[1] if isinstance(item, tuple | list) and len(item) > 1 else None
        found = item.get("labels", item.get("label")) if isinstance(item, Mapping) else found
        return _tensors("labels", found)
    if isinstance(labels, Integral):
        return torch.full((n,), int(labels))
    labels = _tensors("labels", labels)
    try:
        found = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"labels must be numbers; got {labels!r}.") from error
    if not at_once or found.shape[:1] != (n,):
        raise InputError(
            f"labels must be one for each of {n} images that are given at once, or one number for all; got shape "
            f"{tuple(found.shape)}. A loader gives its own, as (images, labels)."
        )
    return found


def _tensors(name: str, values: Any) -> Any:
    """The same with tensors in place of arrays."""
    return _map(lambda value: value if isinstance(value, Tensor) else from_array(name, value), values)


def _map(function: Callable[[Any], Any], values: Any) -> Any:
    if isinstance(values, tuple | list):
        mapped = (_map(function, value) for value in values)
        return type(values)(*mapped) if hasattr(values, "_fields") else type(values)(mapped)
    if isinstance(values, dict):
        return {key: _map(function, value) for key, value in values.items()}
    return function(values) if isinstance(values, Tensor | np.ndarray) else values


def _leaves(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _leaves(value)
        elif isinstance(value, dict):
            yield from _leaves(value.values())
