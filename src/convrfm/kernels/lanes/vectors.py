"""Vectors for numba: sixteen floating-point lanes in one value, one image pair in each.

LLVM maps a value of type `Lanes` to whichever registers the processor has (one of AVX-512, two of AVX, four of NEON),
so that compiled code is packed by construction and not by the luck of an auto-vectoriser. Arithmetic may contract
`a * b + c` into one rounding, nothing else.
"""

import inspect
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import lower_builtin, models, register_model

from .checked_cache import CheckedCache
from .compilation import announced, digest

LANES = 16
KERNELS = Path(__file__).parents[1]
SOURCES = digest(KERNELS / room for room in ("lanes", "activations", "engines/cpu"))  # what compiled code is made of


def intrinsic(typing: Callable[..., Any]) -> Any:
    """An operation that emits its own instructions; `typing` may wear run-time checks, which are for Python."""
    return numba_intrinsic(inspect.unwrap(typing))


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function into each of its callers."""
    return njit(nogil=True, forceinline=True)(inspect.unwrap(function))


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that compiled functions call."""
    return njit(nogil=True)(inspect.unwrap(function))


def entry(function: Callable[..., None]) -> Any:
    """Compile a function that Python calls: without the interpreter lock, announced, kept on disk where it can be.

    Numba looks for edits in this function's file alone, and code is kept under its name; the name tells the other files.
    """
    function = inspect.unwrap(function)
    function.__qualname__ = f"{function.__name__}_{SOURCES}"
    dispatcher = compiled(function)
    try:
        dispatcher._cache = CheckedCache(function)
    except RuntimeError:
        return announced(dispatcher, kept=False)
    return announced(dispatcher, kept=True)


class Lanes(types.Type):
    """Sixteen numbers of one floating-point type, or those of two columns."""

    def __init__(self, element: types.Float, count: int = LANES) -> None:
        self.element, self.count = element, count
        super().__init__(name=f"Lanes({element}, {count})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Lanes) -> None:
        super().__init__(dmm, fe_type, ir.VectorType(dmm.lookup(fe_type.element).get_value_type(), fe_type.count))


class Abreast(types.CPointer):
    """An address from which two columns are read at once."""

    def __init__(self, dtype: types.Float) -> None:
        super().__init__(dtype)
        self.name = f"Abreast({dtype})"


register_model(Abreast)(models.PointerModel)


@intrinsic
def address(typingctx: Any, array: Any) -> Any:
    """Where a contiguous array's numbers begin.

    Compiled functions hand addresses to each other instead of arrays: numba counts references to an array at every
    call, which costs more than a row of pairs.
    """

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), codegen


@intrinsic
def abreast(typingctx: Any, start: Any) -> Any:
    """The same address, from which every load takes two columns.

    A column's operations wait for each other, and a processor looks ahead only so far: of two columns in turn, one
    always has work.
    """

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return args[0]

    return Abreast(start.dtype)(start), codegen


@intrinsic
def ahead(typingctx: Any, start: Any, count: Any) -> Any:
    """The address `count` numbers after another."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return start(start, types.intp), codegen


@intrinsic
def item(typingctx: Any, start: Any, place: Any) -> Any:
    """The number at a place after an address."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(builder.gep(args[0], [args[1]]))

    return start.dtype(start, types.intp), codegen


@intrinsic
def put(typingctx: Any, start: Any, place: Any, number: Any) -> Any:
    """Write one number at a place after an address."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[2], builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(start, types.intp, start.dtype), codegen


@intrinsic
def load(typingctx: Any, start: Any, place: Any) -> Any:
    """Sixteen consecutive numbers; two columns of them from an address of columns abreast."""
    lanes = _loaded(start)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = context.get_value_type(lanes)
        value = builder.load(builder.bitcast(builder.gep(args[0], [args[1]]), vector.as_pointer()))
        value.align = start.dtype.bitwidth // 8
        return value

    return lanes(start, types.intp), codegen


@intrinsic
def load_broadcast(typingctx: Any, start: Any, place: Any) -> Any:
    """One number in every lane of a column; columns abreast have consecutive numbers."""
    lanes = _loaded(start)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        column = context.get_value_type(Lanes(start.dtype))
        first = builder.gep(args[0], [args[1]])
        left = _broadcast(builder, column, builder.load(first))
        if lanes.count == LANES:
            return left
        right = _broadcast(builder, column, builder.load(builder.gep(first, [context.get_constant(types.intp, 1)])))
        both = ir.Constant(ir.VectorType(ir.IntType(32), lanes.count), list(range(lanes.count)))
        return builder.shuffle_vector(left, right, both)

    return lanes(start, types.intp), codegen


@intrinsic
def store(typingctx: Any, start: Any, place: Any, value: Any) -> Any:
    """Write as many consecutive numbers as there are lanes."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        target = builder.bitcast(builder.gep(args[0], [args[1]]), args[2].type.as_pointer())
        builder.store(args[2], target).align = start.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(start, types.intp, value), codegen


@intrinsic
def broadcast(typingctx: Any, scalar: Any) -> Any:
    """The same number in every lane."""
    lanes = Lanes(scalar)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _broadcast(builder, context.get_value_type(lanes), args[0])

    return lanes(scalar), codegen


@intrinsic
def zero(typingctx: Any, like: Any) -> Any:
    """Zero in every lane, in the precision of other lanes or of the numbers at an address."""
    lanes = like if isinstance(like, Lanes) else Lanes(like.dtype)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(context.get_value_type(lanes), [0.0] * lanes.count)

    return lanes(like), codegen


@intrinsic
def where_less(typingctx: Any, a: Any, b: Any, then: Any, otherwise: Any) -> Any:
    """Lane by lane, `then` where a < b, else `otherwise`."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])

    return a(a, a, a, a), codegen


def polynomial(single: Sequence[float], double: Sequence[float]) -> Any:
    """A compiled polynomial of `Lanes`, lowest coefficient first, one set for each precision."""
    by_width = {32: single, 64: double}

    @intrinsic
    def horner(typingctx: Any, a: Any) -> Any:
        coefficients = by_width[a.element.bitwidth]

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            vector = args[0].type
            value = ir.Constant(vector, [coefficients[-1]] * a.count)
            for c in reversed(coefficients[:-1]):
                product = builder.fmul(value, args[0], flags=("contract",))
                value = builder.fadd(product, ir.Constant(vector, [c] * a.count), flags=("contract",))
            return value

        return a(a), codegen

    return horner


def _llvm_function(name: str) -> Any:
    @intrinsic
    def function(typingctx: Any, a: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            vector = args[0].type
            prototype = ir.FunctionType(vector, [vector])
            full = f"llvm.{name}.v{a.count}f{a.element.bitwidth}"
            return builder.call(cgutils.get_or_insert_function(builder.module, prototype, full), args)

        return a(a), codegen

    return function


square_root = _llvm_function("sqrt")
magnitude = _llvm_function("fabs")


def _broadcast(builder: Any, vector: Any, scalar: Any) -> Any:
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(
        first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    )


def _loaded(start: Any) -> Lanes:
    return Lanes(start.dtype, 2 * LANES if isinstance(start, Abreast) else LANES)


def _arithmetic(op: Callable[[Any, Any], Any], emit: Callable[[Any, Any, Any], Any]) -> None:
    """Teach numba `op` of two `Lanes`, or of one and a number, which takes the element's type."""

    @infer_global(op)
    class _Typing(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            vectors = [a for a in args if isinstance(a, Lanes)]
            if not vectors or any(not isinstance(a, types.Float) and a != vectors[0] for a in args):
                return None
            return signature(vectors[0], *(a if isinstance(a, Lanes) else vectors[0].element for a in args))

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = context.get_value_type(sig.return_type)
        return emit(builder, *(v if v.type == vector else _broadcast(builder, vector, v) for v in args))

    for sides in ((Lanes, Lanes), (Lanes, types.Float), (types.Float, Lanes)):
        lower_builtin(op, *sides)(lower)


_arithmetic(operator.add, lambda builder, a, b: builder.fadd(a, b, flags=("contract",)))
_arithmetic(operator.sub, lambda builder, a, b: builder.fsub(a, b, flags=("contract",)))
_arithmetic(operator.mul, lambda builder, a, b: builder.fmul(a, b, flags=("contract",)))
_arithmetic(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))
