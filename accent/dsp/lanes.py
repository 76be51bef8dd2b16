"""Eight numbers side by side: a type for kernels that work on eight frames at once, one in each lane.

numba leaves it to LLVM whether a loop uses wide registers, and LLVM declines where it cannot tell arrays apart.  A
value of this type is a vector of LLVM's own: one register of AVX-512, two of AVX2.  Lanes are added, subtracted
and multiplied one by one, with another vector or with a number.  All lanes go through the same operations, so a
frame's result depends neither on its lane nor on the other frames.

The functions are for kernels only, read and write arrays of float64 in C order of any shape, by the number of the
element, and check no bounds.

Source: numba's manual, "Low-level extension API"; LLVM's language reference, "shufflevector".

Cost: each an instruction or two; eight rows are transposed by 24.
"""

import operator
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from accent.dsp.compile import kernel

LANES = 8
"""Frames worked on at once."""
ALIGNMENT = 64
"""Bytes of a line of the cache, and of eight numbers: a row that straddles two lines costs twice."""

_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_INDEX = ir.IntType(32)


class Lanes(types.Type):
    """The type of eight float64 side by side."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


LANES_TYPE = Lanes()
ROWS_TYPE = types.UniTuple(LANES_TYPE, LANES)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _VECTOR)


def _shuffle(builder: Any, first: Any, second: Any, order: list[int]) -> Any:
    return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(_INDEX, LANES), order))


def _same_in_all(builder: Any, number: Any) -> Any:
    nothing = ir.Constant(_VECTOR, ir.Undefined)
    return _shuffle(builder, builder.insert_element(nothing, number, _INDEX(0)), nothing, [0] * LANES)


def _register(function: Any, instruction: str) -> None:
    """Register an operator on lanes with numba."""

    def by_lanes(_context: Any, builder: Any, _signature: Any, operands: Any) -> Any:
        return getattr(builder, instruction)(*operands)

    def by_number(_context: Any, builder: Any, _signature: Any, operands: Any) -> Any:
        return getattr(builder, instruction)(operands[0], _same_in_all(builder, operands[1]))

    cases = [signature(LANES_TYPE, LANES_TYPE, LANES_TYPE), signature(LANES_TYPE, LANES_TYPE, types.float64)]
    infer_global(function)(type(f"Lanes_{instruction}", (ConcreteTemplate,), {"cases": cases}))
    lower_builtin(function, LANES_TYPE, LANES_TYPE)(by_lanes)
    lower_builtin(function, LANES_TYPE, types.float64)(by_number)


_register(operator.add, "fadd")
_register(operator.sub, "fsub")
_register(operator.mul, "fmul")


def _address(context: Any, builder: Any, array_type: Any, array: Any, element: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [element]), _VECTOR.as_pointer())


def _is_fit(array: Any) -> bool:
    return isinstance(array, types.Array) and array.dtype == types.float64 and array.layout == "C"


@intrinsic
def load(_typing: Any, array: Any, element: Any) -> Any:
    """Return eight consecutive elements of an array, from `element` on."""
    if not _is_fit(array):
        return None

    def generate(context: Any, builder: Any, types_: Any, operands: Any) -> Any:
        loaded = builder.load(_address(context, builder, types_.args[0], *operands))
        loaded.align = array.dtype.bitwidth // 8
        return loaded

    return LANES_TYPE(array, types.int64), generate


@intrinsic
def store(_typing: Any, array: Any, element: Any, lanes: Any) -> Any:
    """Write eight consecutive elements of an array, from `element` on."""
    if not _is_fit(array) or lanes != LANES_TYPE:
        return None

    def generate(context: Any, builder: Any, types_: Any, operands: Any) -> Any:
        address = _address(context, builder, types_.args[0], operands[0], operands[1])
        builder.store(operands[2], address, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, LANES_TYPE), generate


@intrinsic
def load_rows(_typing: Any, array: Any, element: Any, stride: Any) -> Any:
    """Return eight times eight elements, the first from `element` on, each of the others `stride` elements further."""
    if not _is_fit(array):
        return None

    def generate(context: Any, builder: Any, types_: Any, operands: Any) -> Any:
        rows, at = [], operands[1]
        for _ in range(LANES):
            rows.append(builder.load(_address(context, builder, types_.args[0], operands[0], at)))
            rows[-1].align = array.dtype.bitwidth // 8
            at = builder.add(at, operands[2])
        return context.make_tuple(builder, types_.return_type, rows)

    return ROWS_TYPE(array, types.int64, types.int64), generate


@intrinsic
def store_rows(_typing: Any, array: Any, element: Any, stride: Any, rows: Any) -> Any:
    """Write eight times eight elements, the first from `element` on, each of the others `stride` elements further."""
    if not _is_fit(array) or rows != ROWS_TYPE:
        return None

    def generate(context: Any, builder: Any, types_: Any, operands: Any) -> Any:
        at = operands[1]
        for row in range(LANES):
            address = _address(context, builder, types_.args[0], operands[0], at)
            builder.store(builder.extract_value(operands[3], row), address, align=array.dtype.bitwidth // 8)
            at = builder.add(at, operands[2])
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, ROWS_TYPE), generate


@intrinsic
def transposed(_typing: Any, rows: Any) -> Any:
    """Transpose eight rows of eight lanes: row r's lane l becomes row l's lane r."""
    if rows != ROWS_TYPE:
        return None
    half = LANES // 2
    lower = [place + side * LANES for place in range(half) for side in (0, 1)]
    upper = [place + half for place in lower]

    def generate(context: Any, builder: Any, types_: Any, operands: Any) -> Any:
        # Dealing out the 64 numbers like cards, from the two halves of the pack in turn, three times.
        vectors = [builder.extract_value(operands[0], row) for row in range(LANES)]
        for _ in range(LANES.bit_length() - 1):
            pairs = list(zip(vectors[:half], vectors[half:], strict=True))
            vectors = [_shuffle(builder, *pair, order) for pair in pairs for order in (lower, upper)]
        return context.make_tuple(builder, types_.return_type, vectors)

    return ROWS_TYPE(ROWS_TYPE), generate


@kernel
def aligned_empty(n_rows: int) -> np.ndarray:
    """Return `[8 n_rows]` numbers, not set, each eight of which lie in one line of the cache."""
    numbers = np.empty((n_rows + 1) * LANES)
    first = -numbers.ctypes.data % ALIGNMENT // numbers.itemsize
    return numbers[first : first + n_rows * LANES]
