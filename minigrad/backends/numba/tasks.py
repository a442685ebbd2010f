"""Into how many tasks the loops of sums.py and dots.py are cut: by the sizes of the work, not the number of threads."""

from __future__ import annotations

from .compiler import compiled_function

TASKS = 8  # at least so many where the work allows it, for however few threads; twice as many cost more than they bring
BANDS_SIZE = 1 << 18  # numbers in the sums of all bands of rows, each of which has sums of its own


def parts_of(tasks: int, outputs: int, tile: int) -> int:
    """Into how many parts the outputs are cut so that there are enough tasks, each of whole tiles."""
    return min(-(-TASKS // tasks), -(-outputs // tile))


@compiled_function()
def part_of(part, parts, outputs, tile):
    """The first output of a part, and the one behind its last."""
    tiles = -(-outputs // tile)
    return part * tiles // parts * tile, min((part + 1) * tiles // parts * tile, outputs)
