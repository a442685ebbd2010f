"""A tile: a rectangle of sums that stays in the processor's registers while a loop runs over their terms.

LLVM vectorises the innermost loop of a kernel, and keeps sums in registers along that one loop only. A sum of products
wants more: R outputs times V vectors of neighbouring numbers, so that each vector that is loaded serves R multiply-adds
and each weight V of them. numba has no type for a register; this file adds one, the `Tile`, and the operations that the
kernels need. In a kernel,

    tile = spread(rows, breadth, bias, o, 1)                              # tile[r, :] = bias[o + r]
    for k in range(K):
        tile = add_products(tile, breadth, weight, w + k, step, x, t, lanes)  # += weight[w + k + r step] x[t + :]
    store_tile(tile, breadth, y, t, y_step)                               # y[t + r y_step + :] = tile[r, :]

compiles to R V multiply-add instructions a step, V loads and R broadcasts, and nothing else. Two arguments are about
shape. `rows` is a tuple of which only the length counts (the compiler knows the length of a tuple), and so is
`breadth`, in vectors. Or breadth is NARROW, for a tile of one vector that fills half a register; or a number, for one
of which only so many numbers exist in memory: the others are neither read nor written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

tile_operation: Callable[[Callable], Callable[..., Any]] = intrinsic  # kernels leave out its first argument

# AVX-512 has 32 registers of 64 bytes; AVX2 has 16 of 32, and NEON and SSE make do with two of theirs for one of those.
HAS_AVX512 = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
REGISTER_BYTES = 64 if HAS_AVX512 else 32
SIX, FIVE, FOUR, THREE, TWO, ONE = ((0,) * length for length in (6, 5, 4, 3, 2, 1))  # shapes of tiles: see above
WIDE, HALF = (FOUR, TWO) if HAS_AVX512 else (TWO, ONE)  # the breadths of a tile of sums
NARROW = (0.5,)  # likewise, of half a vector: not an integer, by which the compiler tells it from ONE
DOT_ROWS = FOUR if HAS_AVX512 else TWO  # of a tile of dot products, which has five columns or two


class Tile(types.Type):
    """R rows of V vectors, one LLVM value each; a row-major array of them to LLVM.

    A vector fills a register; one of integers has as many lanes as one of the numbers that they belong to.
    """

    def __init__(self, element: types.Number, rows: int, vectors: int, lanes: int) -> None:
        self.element, self.rows, self.vectors, self.lanes = element, rows, vectors, lanes
        super().__init__(f"Tile({element}, {rows}, {vectors}, {lanes})")


def lanes_of(element: Any) -> int:
    """How many numbers one vector holds."""
    return REGISTER_BYTES * 8 // element.bitwidth


@register_model(Tile)
class TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Tile) -> None:
        element = manager.lookup(tile.element).get_value_type()
        super().__init__(manager, tile, ir.ArrayType(ir.VectorType(element, tile.lanes), tile.rows * tile.vectors))


# ---------------------------------------------------------------------------------------- what the kernels compute with


@tile_operation
def numbers_of(_: Any, array: Any) -> Any:
    """The array for the operations below, by nothing but the place where its numbers begin. A function that is called
    for each tile takes one word of it instead of ten; the array itself has to be kept meanwhile."""

    def code(build: _Builder, array: Any) -> Any:
        return array

    return types.CPointer(array.dtype)(array), _generated(code)


@tile_operation
def spread(_: Any, rows: Any, breadth: Any, values: Any, first: Any, step: Any) -> Any:
    """tile[r, :] = values[first + r step]"""
    tile = _tile_type(rows, breadth, values.dtype)

    def code(build: _Builder, rows: Any, breadth: Any, values: Any, first: Any, step: Any) -> Any:
        scalars = [build.scalar(values, build.plus(first, r, step)) for r in range(tile.rows)]
        vectors = [build.broadcast(scalar, tile.lanes) for scalar in scalars for _ in range(tile.vectors)]
        return build.tile(tile, vectors)

    return tile(rows, breadth, values, first, step), _generated(code)


@tile_operation
def load_tile(_: Any, rows: Any, breadth: Any, array: Any, at: Any, step: Any) -> Any:
    """tile[r, :] = array[at + r step + :]"""
    tile = _tile_type(rows, breadth, array.dtype)

    def code(build: _Builder, _: Any, breadth: Any, array: Any, at: Any, step: Any) -> Any:
        starts = [build.plus(at, r, step) for r in range(tile.rows)]
        rows = [build.vectors(array, start, tile.vectors, tile.lanes, breadth) for start in starts]
        return build.tile(tile, [vector for row in rows for vector in row])

    return tile(rows, breadth, array, at, step), _generated(code)


@tile_operation
def store_tile(_: Any, tile: Any, breadth: Any, array: Any, at: Any, step: Any) -> Any:
    """array[at + r step + :] = tile[r, :]"""

    def code(build: _Builder, sums: Any, breadth: Any, array: Any, at: Any, step: Any) -> None:
        for r in range(tile.rows):
            for v in range(tile.vectors):
                place = build.plus(build.plus(at, r, step), v * tile.lanes)
                build.store(build.element(sums, r * tile.vectors + v), array, place, breadth)

    return types.void(tile, breadth, array, at, step), _generated(code)


@tile_operation
def add_products(_: Any, tile: Any, breadth: Any, weight: Any, w: Any, step: Any, x: Any, at: Any, apart: Any) -> Any:
    """tile[r, :] + weight[w + r step] x[at + :], where the vectors of x begin `apart` from each other"""

    def code(
        build: _Builder, sums: Any, breadth: Any, weight: Any, w: Any, step: Any, x: Any, at: Any, apart: Any
    ) -> Any:
        vectors = build.vectors(x, at, tile.vectors, tile.lanes, breadth, apart)
        first = build.pointer(weight, w)
        scalars = [build.broadcast(build.scalar(first, place), tile.lanes) for place in build.multiples(step, tile)]
        products = [(scalar, vector) for scalar in scalars for vector in vectors]
        return build.tile(tile, [build.multiply_add(a, b, sums, i) for i, (a, b) in enumerate(products)])

    return tile(tile, breadth, weight, w, step, x, at, apart), _generated(code)


@tile_operation
def no_sums(_: Any, rows: Any, columns: Any, array: Any) -> Any:
    """tile[r, c] = 0, a vector for each row and column, of the array's dtype; the columns may be a breadth"""
    tile = _tile_type(rows, columns, array.dtype)

    def code(build: _Builder, *_: Any) -> Any:
        return ir.Constant(build.context.get_value_type(tile), None)

    return tile(rows, columns, array), _generated(code)


@tile_operation
def add_dot_products(
    _: Any, tile: Any, breadth: Any, y: Any, y_at: Any, y_step: Any, x: Any, x_at: Any, x_step: Any
) -> Any:
    """tile[r, c] + y[y_at + r y_step + :] x[x_at + c x_step + :], lane by lane; one vector's length of both"""

    def code(
        build: _Builder, sums: Any, breadth: Any, y: Any, y_at: Any, y_step: Any, x: Any, x_at: Any, x_step: Any
    ) -> Any:
        left = [build.vectors(y, build.plus(y_at, r, y_step), 1, tile.lanes, breadth)[0] for r in range(tile.rows)]
        right = [build.vectors(x, build.plus(x_at, c, x_step), 1, tile.lanes, breadth)[0] for c in range(tile.vectors)]
        products = [(a, b) for a in left for b in right]
        return build.tile(tile, [build.multiply_add(a, b, sums, i) for i, (a, b) in enumerate(products)])

    return tile(tile, breadth, y, y_at, y_step, x, x_at, x_step), _generated(code)


@tile_operation
def add_lanes(_: Any, tile: Any, size: Any, array: Any, at: Any, steps: Any) -> Any:
    """array[at + r steps[0] + c steps[1]] += the sum of tile[r, c]'s lanes, for r < size[0] and c < size[1]"""

    def code(build: _Builder, sums: Any, size: Any, array: Any, at: Any, steps: Any) -> None:
        (rows, columns), (row, column) = ([build.element(pair, i) for i in range(2)] for pair in (size, steps))
        for r in range(tile.rows):
            for c in range(tile.vectors):
                with build.ir.if_then(build.ir.and_(build.more_than(rows, r), build.more_than(columns, c))):
                    place = build.pointer(array, build.plus(build.plus(at, r, row), c, column))
                    total = build.sum_of_lanes(build.element(sums, r * tile.vectors + c))
                    build.ir.store(build.ir.fadd(build.ir.load(place), total), place)

    return types.void(tile, size, array, at, steps), _generated(code)


@tile_operation
def spread_place(_: Any, like: Any, array: Any, place: Any) -> Any:
    """tile[r, :] = place, as integers of the array's dtype, one for each number of another tile"""
    tile = Tile(array.dtype, like.rows, like.vectors, like.lanes)

    def code(build: _Builder, like: Any, array: Any, place: Any) -> Any:
        vector = build.integers(place, build.context.get_value_type(tile).element)
        return build.tile(tile, [vector] * (tile.rows * tile.vectors))

    return tile(like, array, place), _generated(code)


@tile_operation
def keep_larger(_: Any, best: Any, winners: Any, breadth: Any, x: Any, at: Any, place: Any) -> Any:
    """best[0, :] and winners[0, :], or x[at + :] and place where that x is larger.

    A NaN counts as larger than any number, and nothing as larger than a NaN: so the first one stays.
    """
    both = types.Tuple((best, winners))

    def code(build: _Builder, largest: Any, won: Any, breadth: Any, x: Any, at: Any, place: Any) -> Any:
        numbers, integers = [], []
        for v, new in enumerate(build.vectors(x, at, best.vectors, best.lanes, breadth)):
            old, winner = build.element(largest, v), build.element(won, v)
            not_below, old_is_number = build.ir.fcmp_unordered(">", new, old), build.ir.fcmp_ordered("ord", old, old)
            larger = build.ir.and_(not_below, old_is_number)
            numbers.append(build.ir.select(larger, new, old))
            integers.append(build.ir.select(larger, build.integers(place, winner.type), winner))
        tiles = [build.tile(best, numbers), build.tile(winners, integers)]
        return build.context.make_tuple(build.ir, both, tiles)

    return both(best, winners, breadth, x, at, place), _generated(code)


@tile_operation
def where_won(_: Any, tile: Any, breadth: Any, winners: Any, at: Any, place: Any) -> Any:
    """tile[0, :] where winners[at + :], integers, is place, and else 0"""

    def code(build: _Builder, numbers: Any, breadth: Any, winners: Any, at: Any, place: Any) -> Any:
        vectors = []
        for v, winner in enumerate(build.vectors(winners, at, tile.vectors, tile.lanes, breadth)):
            here = build.ir.icmp_signed("==", winner, build.integers(place, winner.type))
            number = build.element(numbers, v)
            vectors.append(build.ir.select(here, number, ir.Constant(number.type, None)))
        return build.tile(tile, vectors)

    return tile(tile, breadth, winners, at, place), _generated(code)


@tile_operation
def turn_square(_: Any, x: Any, x_at: Any, x_step: Any, y: Any, y_at: Any, y_step: Any) -> Any:
    """y[y_at + c y_step + r] = x[x_at + r x_step + c], for r and c below the lanes of a register

    In log2(lanes) rounds. One of step s takes rows r and r + s together, and exchanges the lanes of the first that have
    the bit s in their number with those of the second that have not: all bits of rows and columns change places.
    """

    def code(build: _Builder, x: Any, x_at: Any, x_step: Any, y: Any, y_at: Any, y_step: Any) -> None:
        lanes = lanes_of(signature.args[0].dtype)
        rows = [build.vectors(x, build.plus(x_at, r, x_step), 1, lanes)[0] for r in range(lanes)]
        step = 1
        while step < lanes:
            firsts = [r for r in range(lanes) if not r & step]
            left = [lane if not lane & step else lane - step + lanes for lane in range(lanes)]
            right = [lane + step if not lane & step else lane + lanes for lane in range(lanes)]
            for r in firsts:
                a, b = rows[r], rows[r + step]
                rows[r], rows[r + step] = build.lanes_of_two(a, b, left), build.lanes_of_two(a, b, right)
            step *= 2
        for c, row in enumerate(rows):
            build.store(row, y, build.plus(y_at, c, y_step))

    signature = types.void(x, x_at, x_step, y, y_at, y_step)
    return signature, _generated(code)


# -------------------------------------------------------------------------------------------- how LLVM is told about it


def _tile_type(rows: Any, breadth: Any, element: Any) -> Tile:
    if not isinstance(breadth, types.UniTuple):
        return Tile(element, len(rows), 1, lanes_of(element))
    lanes = lanes_of(element) // (2 if isinstance(breadth.dtype, types.Float) else 1)
    return Tile(element, len(rows), len(breadth), lanes)


def _generated(code: Callable[..., Any]) -> Callable[..., Any]:
    """The function that numba calls to generate an intrinsic's code: `code`, with a builder and the plain arguments."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        build = _Builder(context, builder)
        values = [build.argument(kind, value) for kind, value in zip(signature.args, arguments, strict=True)]
        result = code(build, *values)
        return context.get_dummy_value() if result is None else result

    return generate


class _Builder:
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
            if k % 2 and tile.lanes < lanes_of(tile.element):
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

    def multiply_add(self, a: Any, b: Any, sums: Any, index: int) -> Any:
        return self._call("llvm.fmuladd", a.type, a.type, [a, b, self.element(sums, index)])

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
