"""How LLVM is told what the operations on tiles do (tile.py): its vector instructions, over llvmlite's builder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

if TYPE_CHECKING:
    from .tile import Tile


def generated(code: Callable[..., Any]) -> Callable[..., Any]:
    """The function that numba calls to generate an intrinsic's code: `code`, with a builder and the plain arguments."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        build = Builder(context, builder)
        values = [build.argument(kind, value) for kind, value in zip(signature.args, arguments, strict=True)]
        result = code(build, *values)
        return context.get_dummy_value() if result is None else result

    return generate


class Builder:
    """The few instructions needed, over llvmlite's builder. Arrays are pointers here, and indices LLVM integers."""

    def __init__(self, context: Any, builder: ir.IRBuilder) -> None:
        self.context, self.ir = context, builder

    def argument(self, kind: types.Type, value: Any) -> Any:
        if isinstance(kind, types.Array):
            return self.context.make_array(kind)(self.context, self.ir, value).data
        return value

    def plus(self, index: Any, times: int, step: Any = None) -> Any:
        """index + times step, or index + times."""
        amount = ir.Constant(index.type, times)
        return self.ir.add(index, amount if step is None else self.ir.mul(amount, step))

    def multiples(self, step: Any, tile: Tile) -> list[Any]:
        """0, step, 2 step and so on, one for each row of the tile.

        LLVM finds each from the one before, which takes longer than the products of a narrow tile. So it is kept from
        seeing how the odd ones are made: by an instruction of no text, which might change them.
        """
        found = [ir.Constant(step.type, 0), step]
        for k in range(2, tile.rows):
            multiple = self.ir.mul(step, ir.Constant(step.type, k))
            if k % 2 and tile.narrow:
                multiple = self.ir.asm(ir.FunctionType(step.type, [step.type]), "", "=r,0", [multiple], False)
            found.append(multiple)
        return found[: tile.rows]

    def more_than(self, number: Any, least: int) -> Any:
        return self.ir.icmp_signed(">", number, ir.Constant(number.type, least))

    def pointer(self, array: Any, index: Any) -> Any:
        return self.ir.gep(array, [index], inbounds=True)

    def scalar(self, array: Any, index: Any) -> Any:
        return self.ir.load(self.pointer(array, index))

    def integers(self, number: Any, kind: ir.VectorType) -> Any:
        """A vector of that kind with the number, which is 64 bits wide, in each lane."""
        return self.broadcast(self.ir.trunc(number, kind.element), kind.count)

    def broadcast(self, scalar: Any, lanes: int) -> Any:
        vector = ir.VectorType(scalar.type, lanes)
        undefined, first = ir.Constant(vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None)
        return self.ir.shuffle_vector(self.ir.insert_element(undefined, scalar, first), undefined, everywhere)

    def vectors(
        self, array: Any, at: Any, number: int, lanes: int, breadth: Any = None, apart: Any = None
    ) -> list[Any]:
        """The `number` vectors that begin at array[at], one behind the other or so far apart; where the breadth is a
        number, one that ends with zeros."""
        kind = ir.VectorType(array.type.pointee, lanes)
        first, apart = self.pointer(array, at), ir.Constant(at.type, lanes) if apart is None else apart
        offsets = [self.ir.mul(ir.Constant(at.type, v), apart) for v in range(number)]
        places = [self._as_vector(self.pointer(first, offset), kind) for offset in offsets]
        if self._cut_short(breadth):
            return [self._masked("load", kind, [places[0]], self._below(breadth, lanes), [ir.Constant(kind, None)])]
        return [self.ir.load(place, align=self._bytes(kind.element)) for place in places]

    def store(self, vector: Any, array: Any, at: Any, breadth: Any = None) -> None:
        place = self._as_vector(self.pointer(array, at), vector.type)
        if self._cut_short(breadth):
            self._masked("store", vector.type, [vector, place], self._below(breadth, vector.type.count), [])
        else:
            self.ir.store(vector, place, align=self._bytes(vector.type.element))

    def add_products(self, kind: Tile, sums: Any, products: list[tuple[Any, Any]]) -> Any:
        """The tile of sums plus a product for each of its vectors.

        LLVM would unroll the loop around it, and run out of registers. So there is an instruction of no text beside
        the products of which it must not make two.
        """
        self.ir.asm(ir.FunctionType(ir.VoidType(), []), "", "", [], True).attributes.add("convergent")
        vectors = [(a, b, self.element(sums, index)) for index, (a, b) in enumerate(products)]
        return self.tile(kind, [self._call("llvm.fmuladd", a.type, a.type, [a, b, c]) for a, b, c in vectors])

    def lanes_of_two(self, a: Any, b: Any, lanes: Sequence[int]) -> Any:
        """The vector of these lanes; b's are numbered behind a's."""
        numbers = [ir.Constant(ir.IntType(32), lane) for lane in lanes]
        return self.ir.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), numbers))

    def sum_of_lanes(self, vector: Any) -> Any:
        """Halves are added until one lane is left, so the order is always the same."""
        lanes = vector.type.count
        while lanes > 1:
            lanes //= 2
            lower, upper = range(lanes), range(lanes, 2 * lanes)
            vector = self.ir.fadd(*(self.lanes_of_two(vector, vector, half) for half in (lower, upper)))
        return self.ir.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    def element(self, tile: Any, index: int) -> Any:
        return self.ir.extract_value(tile, index)

    def tile(self, kind: Tile, vectors: list[Any]) -> Any:
        tile = ir.Constant(self.context.get_value_type(kind), ir.Undefined)
        for index, vector in enumerate(vectors):
            tile = self.ir.insert_value(tile, vector, index)
        return tile

    def _cut_short(self, breadth: Any) -> bool:
        return breadth is not None and isinstance(breadth.type, ir.IntType)

    def _below(self, breadth: Any, lanes: int) -> Any:
        """The mask of the first `breadth` lanes."""
        numbers = ir.Constant(ir.VectorType(breadth.type, lanes), list(range(lanes)))
        undefined, zero = ir.Constant(numbers.type, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), lanes), None)
        limit = self.ir.shuffle_vector(self.ir.insert_element(undefined, breadth, zero), undefined, everywhere)
        return self.ir.icmp_signed("<", numbers, limit)

    def _masked(self, what: str, kind: ir.VectorType, operands: list[Any], mask: Any, others: list[Any]) -> Any:
        """LLVM's masked load or store: lanes outside the mask are not touched in memory."""
        alignment = ir.Constant(ir.IntType(32), self._bytes(kind.element))
        arguments = [*operands, alignment, mask, *others]
        return self._call(f"llvm.masked.{what}", kind, kind if what == "load" else ir.VoidType(), arguments, ".p0")

    def _call(self, name: str, kind: ir.VectorType, result: Any, arguments: list[Any], suffix: str = "") -> Any:
        """LLVM's function of that name for vectors of that kind."""
        letter = "i" if isinstance(kind.element, ir.IntType) else "f"
        name = f"{name}.v{kind.count}{letter}{8 * self._bytes(kind.element)}{suffix}"
        signature = ir.FunctionType(result, [argument.type for argument in arguments])
        return self.ir.call(cgutils.get_or_insert_function(self.ir.module, signature, name), arguments)

    def _as_vector(self, pointer: Any, kind: ir.VectorType) -> Any:
        return self.ir.bitcast(pointer, kind.as_pointer())

    def _bytes(self, element: Any) -> int:
        return {ir.FloatType(): 4, ir.DoubleType(): 8}.get(element) or element.width // 8
