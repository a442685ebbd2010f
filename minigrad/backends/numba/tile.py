"""A tile: a rectangle of sums that stays in the processor's registers while a loop runs over their terms.

LLVM vectorises the innermost loop of a kernel, and keeps sums in registers along that one loop only. A sum of products
wants more: R outputs times V vectors of neighbouring numbers, so that each vector that is loaded serves R multiply-adds
and each weight V of them. numba has no type for a register; this file adds one, the `Tile`, and the operations that the
kernels need. In a kernel,

    tile = spread(rows, breadth, bias, o, 1)                              # tile[r, :] = bias[o + r]
    for k in range(K):
        tile = add_products(tile, breadth, weight, w + k, step, x, t + k * length, lanes)
        # tile[r, :] += weight[w + k + r step] x[t + k length + :]
    store_tile(tile, breadth, y, t, y_step)                               # y[t + r y_step + :] = tile[r, :]

compiles to R V multiply-add instructions a step, V loads and R broadcasts, and nothing else. Two arguments are about
shape. `rows` is a tuple of which only the length counts (the compiler knows the length of a tuple), and so is
`breadth`, in vectors. Or breadth is NARROW, for a tile of one vector that fills half a register; or a number, for one
of which only so many numbers exist in memory: the others are neither read nor written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

from .vectors import Builder, generated

tile_operation: Callable[[Callable], Callable[..., Any]] = intrinsic  # kernels leave out its first argument

# AVX-512 has 32 registers of 64 bytes; AVX2 has 16 of 32, and NEON and SSE make do with two of theirs for one of those.
HAS_AVX512 = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
REGISTER_BYTES = 64 if HAS_AVX512 else 32
TWELVE, SIX, FIVE, FOUR, THREE, TWO, ONE = ((0,) * n for n in (12, 6, 5, 4, 3, 2, 1))  # shapes of tiles: see above
WIDE, HALF = (FOUR, TWO) if HAS_AVX512 else (TWO, ONE)  # the breadths of a tile of sums
NARROW = (0.5,)  # likewise, of half a vector: not an integer, by which the compiler tells it from ONE
DOT_ROWS = FOUR if HAS_AVX512 else TWO  # of a tile of dot products, which has five columns or two


class Tile(types.Type):
    """R rows of V vectors, one LLVM value each; a row-major array of them to LLVM.

    A vector fills a register; one of integers has as many lanes as one of the numbers that they belong to.
    """

    def __init__(self, element: types.Number, rows: int, vectors: int, lanes: int) -> None:
        self.element, self.rows, self.vectors, self.lanes = element, rows, vectors, lanes
        self.narrow = lanes < lanes_of(element)
        super().__init__(f"Tile({element}, {rows}, {vectors}, {lanes})")


def lanes_of(element: Any) -> int:
    """How many numbers one vector holds."""
    return REGISTER_BYTES * 8 // element.bitwidth


@register_model(Tile)
class TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Tile) -> None:
        element = manager.lookup(tile.element).get_value_type()
        super().__init__(manager, tile, ir.ArrayType(ir.VectorType(element, tile.lanes), tile.rows * tile.vectors))


@tile_operation
def numbers_of(_: Any, array: Any) -> Any:
    """The array for the operations below, by nothing but the place where its numbers begin. A function that is called
    for each tile takes one word of it instead of ten; the array itself has to be kept meanwhile."""

    def code(build: Builder, array: Any) -> Any:
        return array

    return types.CPointer(array.dtype)(array), generated(code)


@tile_operation
def spread(_: Any, rows: Any, breadth: Any, values: Any, first: Any, step: Any) -> Any:
    """tile[r, :] = values[first + r step]"""
    tile = _tile_type(rows, breadth, values.dtype)

    def code(build: Builder, rows: Any, breadth: Any, values: Any, first: Any, step: Any) -> Any:
        scalars = [build.scalar(values, build.plus(first, r, step)) for r in range(tile.rows)]
        vectors = [build.broadcast(scalar, tile.lanes) for scalar in scalars for _ in range(tile.vectors)]
        return build.tile(tile, vectors)

    return tile(rows, breadth, values, first, step), generated(code)


@tile_operation
def load_tile(_: Any, rows: Any, breadth: Any, array: Any, at: Any, step: Any) -> Any:
    """tile[r, :] = array[at + r step + :]"""
    tile = _tile_type(rows, breadth, array.dtype)

    def code(build: Builder, _: Any, breadth: Any, array: Any, at: Any, step: Any) -> Any:
        starts = [build.plus(at, r, step) for r in range(tile.rows)]
        rows = [build.vectors(array, start, tile.vectors, tile.lanes, breadth) for start in starts]
        return build.tile(tile, [vector for row in rows for vector in row])

    return tile(rows, breadth, array, at, step), generated(code)


@tile_operation
def store_tile(_: Any, tile: Any, breadth: Any, array: Any, at: Any, step: Any) -> Any:
    """array[at + r step + :] = tile[r, :]"""

    def code(build: Builder, sums: Any, breadth: Any, array: Any, at: Any, step: Any) -> None:
        for r in range(tile.rows):
            for v in range(tile.vectors):
                place = build.plus(build.plus(at, r, step), v * tile.lanes)
                build.store(build.element(sums, r * tile.vectors + v), array, place, breadth)

    return types.void(tile, breadth, array, at, step), generated(code)


@tile_operation
def add_products(_: Any, tile: Any, breadth: Any, weight: Any, w: Any, step: Any, x: Any, at: Any, apart: Any) -> Any:
    """tile[r, :] + weight[w + r step] x[at + :], where the vectors of x begin `apart` from each other"""

    def code(
        build: Builder, sums: Any, breadth: Any, weight: Any, w: Any, step: Any, x: Any, at: Any, apart: Any
    ) -> Any:
        vectors = build.vectors(x, at, tile.vectors, tile.lanes, breadth, apart)
        first = build.pointer(weight, w)
        scalars = [build.broadcast(build.scalar(first, place), tile.lanes) for place in build.multiples(step, tile)]
        return build.add_products(tile, sums, [(scalar, vector) for scalar in scalars for vector in vectors])

    return tile(tile, breadth, weight, w, step, x, at, apart), generated(code)


@tile_operation
def no_sums(_: Any, rows: Any, columns: Any, array: Any) -> Any:
    """tile[r, c] = 0, a vector for each row and column, of the array's dtype; the columns may be a breadth"""
    tile = _tile_type(rows, columns, array.dtype)

    def code(build: Builder, *_: Any) -> Any:
        return ir.Constant(build.context.get_value_type(tile), None)

    return tile(rows, columns, array), generated(code)


@tile_operation
def add_dot_products(
    _: Any, tile: Any, breadth: Any, y: Any, y_at: Any, y_step: Any, x: Any, x_at: Any, x_step: Any
) -> Any:
    """tile[r, c] + y[y_at + r y_step + :] x[x_at + c x_step + :], lane by lane; one vector's length of both"""

    def code(
        build: Builder, sums: Any, breadth: Any, y: Any, y_at: Any, y_step: Any, x: Any, x_at: Any, x_step: Any
    ) -> Any:
        left = [build.vectors(y, build.plus(y_at, r, y_step), 1, tile.lanes, breadth)[0] for r in range(tile.rows)]
        right = [build.vectors(x, build.plus(x_at, c, x_step), 1, tile.lanes, breadth)[0] for c in range(tile.vectors)]
        return build.add_products(tile, sums, [(a, b) for a in left for b in right])

    return tile(tile, breadth, y, y_at, y_step, x, x_at, x_step), generated(code)


@tile_operation
def add_lanes(_: Any, tile: Any, size: Any, array: Any, at: Any, steps: Any) -> Any:
    """array[at + r steps[0] + c steps[1]] += the sum of tile[r, c]'s lanes, for r < size[0] and c < size[1]"""

    def code(build: Builder, sums: Any, size: Any, array: Any, at: Any, steps: Any) -> None:
        (rows, columns), (row, column) = ([build.element(pair, i) for i in range(2)] for pair in (size, steps))
        for r in range(tile.rows):
            for c in range(tile.vectors):
                with build.ir.if_then(build.ir.and_(build.more_than(rows, r), build.more_than(columns, c))):
                    place = build.pointer(array, build.plus(build.plus(at, r, row), c, column))
                    total = build.sum_of_lanes(build.element(sums, r * tile.vectors + c))
                    build.ir.store(build.ir.fadd(build.ir.load(place), total), place)

    return types.void(tile, size, array, at, steps), generated(code)


@tile_operation
def spread_place(_: Any, like: Any, array: Any, place: Any) -> Any:
    """tile[r, :] = place, as integers of the array's dtype, one for each number of another tile"""
    tile = Tile(array.dtype, like.rows, like.vectors, like.lanes)

    def code(build: Builder, like: Any, array: Any, place: Any) -> Any:
        vector = build.integers(place, build.context.get_value_type(tile).element)
        return build.tile(tile, [vector] * (tile.rows * tile.vectors))

    return tile(like, array, place), generated(code)


@tile_operation
def keep_larger(_: Any, best: Any, winners: Any, breadth: Any, x: Any, at: Any, place: Any) -> Any:
    """best[0, :] and winners[0, :], or x[at + :] and place where that x is larger.

    A NaN counts as larger than any number, and nothing as larger than a NaN: so the first one stays.
    """
    both = types.Tuple((best, winners))

    def code(build: Builder, largest: Any, won: Any, breadth: Any, x: Any, at: Any, place: Any) -> Any:
        numbers, integers = [], []
        for v, new in enumerate(build.vectors(x, at, best.vectors, best.lanes, breadth)):
            old, winner = build.element(largest, v), build.element(won, v)
            not_below, old_is_number = build.ir.fcmp_unordered(">", new, old), build.ir.fcmp_ordered("ord", old, old)
            larger = build.ir.and_(not_below, old_is_number)
            numbers.append(build.ir.select(larger, new, old))
            integers.append(build.ir.select(larger, build.integers(place, winner.type), winner))
        tiles = [build.tile(best, numbers), build.tile(winners, integers)]
        return build.context.make_tuple(build.ir, both, tiles)

    return both(best, winners, breadth, x, at, place), generated(code)


@tile_operation
def where_won(_: Any, tile: Any, breadth: Any, winners: Any, at: Any, place: Any) -> Any:
    """tile[0, :] where winners[at + :], integers, is place, and else 0"""

    def code(build: Builder, numbers: Any, breadth: Any, winners: Any, at: Any, place: Any) -> Any:
        vectors = []
        for v, winner in enumerate(build.vectors(winners, at, tile.vectors, tile.lanes, breadth)):
            here = build.ir.icmp_signed("==", winner, build.integers(place, winner.type))
            number = build.element(numbers, v)
            vectors.append(build.ir.select(here, number, ir.Constant(number.type, None)))
        return build.tile(tile, vectors)

    return tile(tile, breadth, winners, at, place), generated(code)


@tile_operation
def turn_square(_: Any, x: Any, x_at: Any, x_step: Any, y: Any, y_at: Any, y_step: Any) -> Any:
    """y[y_at + c y_step + r] = x[x_at + r x_step + c], for r and c below the lanes of a register

    In log2(lanes) rounds. One of step s takes rows r and r + s together, and exchanges the lanes of the first that have
    the bit s in their number with those of the second that have not: all bits of rows and columns change places.
    """

    def code(build: Builder, x: Any, x_at: Any, x_step: Any, y: Any, y_at: Any, y_step: Any) -> None:
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
    return signature, generated(code)


def _tile_type(rows: Any, breadth: Any, element: Any) -> Tile:
    if not isinstance(breadth, types.UniTuple):
        return Tile(element, len(rows), 1, lanes_of(element))
    lanes = lanes_of(element) // (2 if isinstance(breadth.dtype, types.Float) else 1)
    return Tile(element, len(rows), len(breadth), lanes)
