"""Calls of torch's functions, read as products: which operand may be the weight, and what is done with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .products import Contraction, Convolution, Product, TransposedConvolution

Labels = tuple[tuple[int | None, ...], tuple[int | None, ...], tuple[int, ...]]
"""Of the axes of both factors and of the result; None for an axis of size 1 that is broadcast."""


@dataclass(frozen=True)
class Call:
    """A call of a function that multiplies two tensors.

    Attributes:
        name: Of the function.
        factors: The two tensors.
        added: The bias, or None.
        weight_is_second: Whether the function says so; otherwise either factor may be the weight.
        product: From the place of the weight among the factors to the product; None where there is none of that form.
    """

    name: str
    factors: tuple[Tensor, Tensor]
    added: Tensor | None
    weight_is_second: bool
    product: Callable[[int], Product | None]


def read_call(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call | None:
    """The call as a product; None for other functions, and for forms of a product that are not followed."""
    reader = READERS.get(getattr(function, "__name__", ""))
    packed = any(isinstance(value, torch.ScriptObject) for value in args)
    return None if reader is None or packed or kwargs.get("out") is not None else reader(args, kwargs)


def unread(function: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """What keeps a call of a function that is read elsewhere from being read, as the end of a reason; empty if unknown."""
    scales = [name for name in ("alpha", "beta") if name in kwargs]
    if function in SCALED and scales:
        return f" with {' and '.join(scales)}"
    if function == "einsum":
        factors = args[1] if len(args) == 2 and isinstance(args[1], list | tuple) else args[1:]
        return f" of {len(factors)} factors" * (isinstance(args[0], str) and len(factors) > 2)
    return ""


def _bound(names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _convolution(name: str) -> Callable[..., Call]:
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")

    def read(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        given = _bound(names, args, kwargs)
        weight = given["weight"]
        options: dict[str, Any] = {key: given[key] for key in ("stride", "padding", "dilation") if key in given}
        product = Convolution(tuple(weight.shape), given.get("groups", 1), options)
        return Call(name, (given["input"], weight), given.get("bias"), True, lambda place: product if place else None)

    return read


def _transposed(name: str) -> Callable[..., Call]:
    names = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")

    def read(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        given = _bound(names, args, kwargs)
        entered, weight = given["input"], given["weight"]
        axes = weight.ndim - 2
        strides, paddings, dilations = (
            _for_each_axis(given.get(key, default), axes)
            for key, default in (("stride", 1), ("padding", 0), ("dilation", 1))
        )
        counts = tuple(entered.shape[-axes:])
        product = TransposedConvolution(
            tuple(weight.shape), given.get("groups", 1), counts, strides, paddings, dilations
        )
        return Call(name, (entered, weight), given.get("bias"), True, lambda place: product if place else None)

    return read


def _for_each_axis(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * axes if len(values) == 1 else values


def _linear(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
    given = _bound(("input", "weight", "bias"), args, kwargs)
    entered, weight = given["input"], given["weight"]
    positions = tuple(range(2, entered.ndim + 1))
    rows = (1,) * (weight.ndim - 1)
    labels = ((*positions, 0), (*rows, 0), (*positions, *rows))
    return contracted("linear", (entered, weight), given.get("bias"), True, labels)


def _matmul(name: str, swapped: bool = False) -> Callable[..., Call | None]:
    def read(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call | None:
        first, second = [*args, *map(kwargs.get, sorted(kwargs, key="input".__ne__))][:2]  # by name in any order
        if not isinstance(first, Tensor) or not isinstance(second, Tensor):
            return None
        factors = (second, first) if swapped else (first, second)
        return contracted(name, factors, None, False, _matmul_labels(*factors))

    return read


def _matmul_with_bias(name: str) -> Callable[..., Call | None]:
    def read(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call | None:
        if len(args) != 3 or kwargs:  # scaled, or in another form
            return None
        added, *factors = args
        return contracted(name, (factors[0], factors[1]), added, False, _matmul_labels(*factors))

    return read


def _matmul_labels(first: Tensor, second: Tensor) -> Labels:
    rows, columns = (1,) * (first.ndim > 1), (2,) * (second.ndim > 1)
    batch = tuple(range(3, 1 + max(first.ndim, second.ndim, 2)))
    of_first, of_second = _broadcast_labels(first.shape[:-2], second.shape[:-2], batch)
    return (*of_first, *rows, 0), (*of_second, 0, *columns), (*batch, *rows, *columns)


def _vecdot(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
    given = {"dim": -1, **_bound(("x", "y"), args, kwargs)}
    first, second = given["x"], given["y"]
    labels = tuple(range(max(first.ndim, second.ndim)))
    out = tuple(label for label in labels if label != labels[given["dim"]])
    return contracted(
        "vecdot", (first, second), None, False, (*_broadcast_labels(first.shape, second.shape, labels), out)
    )


def _broadcast_labels(
    first: Sequence[int], second: Sequence[int], labels: Sequence[int]
) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
    """Labels of the axes of two shapes that are aligned at their ends; None for an axis that is broadcast."""
    axes = len(labels)
    of_first, of_second = (
        tuple(
            None if mine == 1 and others != 1 else label
            for mine, others, label in zip(_padded(shape, axes), _padded(other, axes), labels, strict=True)
        )[axes - len(shape) :]
        for shape, other in ((first, second), (second, first))
    )
    return of_first, of_second


def _padded(shape: Sequence[int], axes: int) -> tuple[int, ...]:
    return (1,) * (axes - len(shape)) + tuple(shape)


def _tensordot(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
    given = {"dims": 2, **_bound(("a", "b", "dims"), args, kwargs)}
    first, second, dims = given["a"], given["b"], given["dims"]
    if isinstance(dims, int):
        dims = list(range(-dims, 0)), list(range(dims))
    pairs = {second_axis % second.ndim: first_axis % first.ndim for first_axis, second_axis in zip(*dims, strict=True)}
    of_second = tuple(pairs.get(axis, first.ndim + axis) for axis in range(second.ndim))
    kept = [axis for axis in range(first.ndim) if axis not in pairs.values()]
    out = (*kept, *(label for label in of_second if label >= first.ndim))
    return contracted("tensordot", (first, second), None, False, (tuple(range(first.ndim)), of_second, out))


def _einsum(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call | None:
    equation, *operands = args
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = list(operands[0])
    if not isinstance(equation, str) or len(operands) != 2:
        return None
    terms, arrow, result = equation.replace(" ", "").partition("->")
    result = result if arrow else _implied(terms)
    first, second = operands
    named = [len(term.replace("...", "")) for term in terms.split(",")]
    unnamed = max((o.ndim - n for o, n in zip(operands, named, strict=True)), default=0)
    of_first, of_second = (
        _einsum_labels(term, operand.ndim - count, unnamed)
        for term, operand, count in zip(terms.split(","), operands, named, strict=True)
    )
    out = _einsum_labels(result, unnamed if "..." in result else 0, unnamed)
    return contracted("einsum", (first, second), None, False, (of_first, of_second, out))


def _implied(terms: str) -> str:
    """What an einsum without an arrow gives: the axes of an ellipsis, then every letter that appears once."""
    once = sorted(letter for letter in set(terms) if letter.isalpha() and terms.count(letter) == 1)
    return "..." * ("..." in terms) + "".join(once)


def _einsum_labels(term: str, hidden: int, most_hidden: int) -> tuple[int, ...]:
    """Letters as their code points; the axes of an ellipsis count from the right, in negative numbers."""
    before, dots, after = term.partition("...")
    ellipsis = range(most_hidden - hidden, most_hidden) if dots else ()
    return (*map(ord, before), *(axis - most_hidden for axis in ellipsis), *map(ord, after))


def contracted(
    name: str,
    factors: tuple[Tensor, Tensor],
    added: Tensor | None,
    weight_is_second: bool,
    labels: Labels,
) -> Call:
    """The call of a function that is an einsum of its factors.

    Args:
        name: Of the function.
        factors: The two tensors that it multiplies.
        added: The bias, or None.
        weight_is_second: Whether the function says so; otherwise either factor may be the weight.
        labels: Of the axes of both factors and of the result.
    """
    sizes = [dict(zip(of, factor.shape, strict=True)) for of, factor in zip(labels, factors, strict=False)]
    broadcast = any(
        sizes[0][label] != sizes[1][label] for label in sizes[0].keys() & sizes[1].keys() if label is not None
    )

    def product(place: int) -> Product | None:
        found = Contraction(name, labels[1 - place], labels[place], labels[2], tuple(factors[place].shape))
        return found if found.is_product and not broadcast else None

    return Call(name, factors, added, weight_is_second, product)


SCALED = ("addmm", "baddbmm", "addmv")
READERS: Mapping[str, Callable[..., Call | None]] = {
    **{f"conv{axes}d": _convolution(f"conv{axes}d") for axes in (1, 2, 3)},
    **{f"conv_transpose{axes}d": _transposed(f"conv_transpose{axes}d") for axes in (1, 2, 3)},
    "linear": _linear,
    **{name: _matmul("matmul") for name in ("matmul", "__matmul__")},
    "__rmatmul__": _matmul("matmul", swapped=True),
    **{name: _matmul(name) for name in ("mm", "bmm", "mv", "dot", "vdot")},
    **{name: _matmul_with_bias(name) for name in SCALED},
    "linalg_vecdot": _vecdot,
    "tensordot": _tensordot,
    "einsum": _einsum,
}
