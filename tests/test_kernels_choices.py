"""Which way the numba backend takes for which shapes (backends/numba/ways.py): at each border, and beside it.

With registers of 32 bytes, whatever the machine has. test_kernels_ways.py shows that all ways give the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("numba")

from minigrad.backends.numba import conv2d, linear, linear_grad_weight, pool, ways
from minigrad.backends.numba.views import View, outputs_view


@pytest.fixture(autouse=True)
def registers_of_32_bytes(monkeypatch, caplog) -> Iterator[None]:
    monkeypatch.setattr(ways, "REGISTER_BYTES", 32)
    ways.empty_lanes.cache_clear()
    with caplog.at_level("DEBUG", logger="minigrad.numba"):
        yield
    ways.empty_lanes.cache_clear()


def one_run(rows: int, columns: int) -> View:
    """Each pixel sees itself."""
    return outputs_view((rows, columns), (rows, columns), (1, 1), (1, 1), (0, 0))


@pytest.mark.parametrize(
    ("runs", "batch", "itemsize", "expected"),
    [
        ((1,), 1, 4, 7 - 1),
        ((4,), 1, 4, 4 - 4),
        ((1,), 4, 4, 4 - 4),
        ((8,), 1, 4, 0 - 8),
        ((1,), 1, 8, 3 - 1),
        ((1, 9), 1, 4, (7 + 7) - (1 + 9)),
        ((3, 4), 3, 8, (3 + 0) - (9 + 12)),
    ],
)
def test_lanes_that_stay_empty_are_counted_less_those_that_are_full(
    runs: tuple[int, ...], batch: int, itemsize: int, expected: int
) -> None:
    assert ways.empty_lanes(runs, batch, itemsize) == expected


@pytest.mark.parametrize(
    ("image", "batch", "itemsize", "products", "expected"),
    [
        ((5, 2), 1, 4, 250_000, True),  # 4 lanes stay empty: 5 * 4 * 250,000 products
        ((5, 2), 1, 4, 250_001, False),
        ((4, 2), 1, 4, 250_001, True),
        ((5, 1), 2, 4, 250_001, False),
        ((5, 4), 1, 4, 10**9, True),
        ((5, 1), 4, 4, 10**9, True),
        ((5, 1), 1, 8, 500_000, True),  # 2 lanes
        ((5, 1), 1, 8, 500_001, False),
    ],
)
def test_pieces_are_taken_until_empty_lanes_cost_more_than_columns(
    image: tuple[int, int], batch: int, itemsize: int, products: int, expected: bool
) -> None:
    assert ways.takes_pieces(one_run(*image), batch, itemsize, products) is expected


@pytest.mark.parametrize(
    ("products", "said"),
    [
        (1, "pieces of up to 10 numbers, instead of columns"),
        (10**9, "im2col and a matrix product, an image at a time; pieces of 10 numbers leave registers empty"),
    ],
)
def test_the_log_tells_the_longest_piece(caplog, products: int, said: str) -> None:
    view = outputs_view((4, 7), (4, 7), (3, 3), (1, 1), (1, 1))
    assert view.lengths == (1, 5, 1)
    ways.takes_pieces(view, 2, 4, products)
    assert caplog.messages == [said]


@pytest.mark.parametrize(
    ("weight", "columns", "batch", "itemsize", "expected"),
    [
        ((32, 3, 1, 1), 1, 24, 4, True),  # 128 bytes of outputs, three channels, an eighth as many as images
        ((31, 3, 1, 1), 1, 24, 4, False),
        ((16, 3, 1, 1), 1, 24, 8, True),
        ((15, 3, 1, 1), 1, 24, 8, False),
        ((16, 3, 1, 1), 1, 8, 4, True),  # outputs for two registers, beside pieces of one
        ((15, 3, 1, 1), 1, 8, 4, False),
        ((16, 3, 1, 1), 1, 9, 4, False),
        ((16, 3, 1, 1), 2, 4, 4, True),
        ((16, 3, 1, 1), 2, 5, 4, False),
        ((8, 3, 1, 1), 1, 4, 8, True),
        ((8, 3, 1, 1), 1, 5, 8, False),
        ((32, 2, 1, 1), 1, 1, 4, False),
        ((32, 3, 1, 1), 1, 25, 4, False),
        ((32, 8, 1, 1), 1, 64, 4, True),  # few images
        ((32, 9, 1, 1), 1, 65, 4, False),
        ((32, 3, 1, 1), 1, 1, 4, True),
        ((32, 3, 1, 1), 1, 0, 4, False),  # that way cannot do without images
        ((64, 64, 4, 4), 1, 1, 4, True),  # 2^16 sums stay in the cache
        ((64, 64, 1, 17), 1, 1, 4, False),
        ((64, 64, 1, 17), 4, 16, 4, True),  # long rows
        ((64, 64, 1, 17), 9, 7, 4, False),
    ],
)
def test_outer_products_are_taken_for_many_channels_and_few_images(
    caplog, weight: tuple[int, ...], columns: int, batch: int, itemsize: int, expected: bool
) -> None:
    assert ways.takes_outer_products(weight, one_run(2, columns), batch, itemsize) is expected
    assert ("outer products" in caplog.text) is expected


def test_outer_products_look_at_the_longest_piece() -> None:
    view = outputs_view((4, 7), (4, 7), (3, 3), (1, 1), (1, 1))
    assert view.lengths == (1, 5, 1)
    assert not ways.takes_outer_products((16, 3, 3, 3), view, 2, 4)  # 40 bytes
    assert ways.takes_outer_products((16, 3, 3, 3), view, 1, 4)


LAYOUTS = {
    "rows": lambda *shape: np.empty(shape, np.float32),
    "columns": lambda *shape: np.empty(shape, np.float32, order="F"),
    "neither": lambda *shape: np.empty((2, *shape), np.float32)[:, ::-1][0],
}


@pytest.mark.parametrize(
    ("left", "right", "sizes", "expected"),
    [
        ("columns", "rows", (100, 40, 100), "few columns"),  # 400,000 multiply-adds
        ("columns", "rows", (100, 41, 100), "columns"),
        ("columns", "columns", (8, 500, 100), "few columns"),
        ("columns", "columns", (8, 500, 101), "columns"),
        ("columns", "columns", (8, 1000, 10), "few columns"),
        ("columns", "columns", (7, 500, 114), "loops"),  # too short a run
        ("columns", "columns", (7, 500, 115), "columns"),  # 402,500
        ("columns", "columns", (5, 1000, 81), "columns"),
        ("columns", "columns", (4, 1000, 101), "BLAS"),
        ("columns", "columns", (7, 512, 10), "loops"),
        ("columns", "columns", (7, 513, 10), "BLAS"),  # long sums
        ("columns", "rows", (7, 500, 115), "rows"),
        ("rows", "rows", (20, 400, 50), "few rows"),
        ("rows", "rows", (20, 400, 51), "rows"),
        ("rows", "rows", (20, 512, 16), "few rows"),
        ("rows", "rows", (20, 513, 16), "rows"),
        ("rows", "rows", (20, 513, 8), "rows"),
        ("rows", "rows", (20, 513, 7), "BLAS"),
        ("rows", "rows", (20, 500, 7), "few rows"),
        ("rows", "rows", (7, 1, 8), "few rows"),
        ("rows", "rows", (7, 1, 7), "loops"),
        ("rows", "rows", (1, 8, 1), "loops"),
        ("rows", "rows", (1, 400_000, 1), "dots"),
        ("rows", "rows", (0, 5, 3), "few rows"),
        ("neither", "neither", (100, 40, 100), "few rows"),
        ("neither", "rows", (20, 2000, 16), "BLAS"),
        ("rows", "columns", (100, 40, 100), "loops"),
        ("rows", "columns", (100, 41, 100), "BLAS"),
        ("rows", "columns", (10, 400, 50), "loops"),  # 200,000
        ("rows", "columns", (10, 400, 51), "dots"),
        ("rows", "columns", (10, 512, 10), "loops"),
        ("rows", "columns", (10, 513, 10), "dots"),
        ("rows", "columns", (100, 128, 100), "dots"),
        ("rows", "columns", (100, 127, 100), "BLAS"),
        ("rows", "neither", (30, 1000, 30), "BLAS"),
    ],
)
def test_a_product_is_computed_by_the_runs_that_lie_in_memory(
    caplog, left: str, right: str, sizes: tuple[int, int, int], expected: str
) -> None:
    I, J, K = sizes
    assert ways.product_of(LAYOUTS[left](I, J), LAYOUTS[right](J, K)) == expected
    assert caplog.messages == [f"({I}, {J}) @ ({J}, {K}): {ways.PRODUCTS[expected]}"]


def test_products_of_integers_are_left_to_numpy() -> None:
    a = np.ones((2, 2), np.int64)
    assert ways.product_of(a, a) == "BLAS"


@pytest.mark.parametrize("shapes", [((3, 1000, 40), (40, 600)), ((1000, 40), (3, 40, 600))])
def test_products_of_stacks_are_left_to_the_blas(shapes) -> None:
    a, b = shapes
    assert ways.product_of(LAYOUTS["columns"](*a), LAYOUTS["rows"](*b)) == "BLAS"


INNERMOST, OUTERMOST = (lambda *shape: np.ones(shape[::-1], np.float32).T), (lambda *shape: np.ones(shape, np.float32))


@pytest.mark.parametrize(
    ("sizes", "dy_lies", "x_lies", "expected"),
    [
        ((8, 10, 40), INNERMOST, INNERMOST, ["few columns"]),
        ((8, 10, 40), OUTERMOST, OUTERMOST, ["few columns"]),
        ((100, 100, 40), INNERMOST, INNERMOST, ["few columns"]),
        ((101, 100, 40), INNERMOST, INNERMOST, ["turned columns"]),
        ((101, 100, 40), OUTERMOST, INNERMOST, ["turned columns"]),
        ((512, 10, 40), INNERMOST, INNERMOST, ["few columns"]),
        ((513, 10, 40), INNERMOST, INNERMOST, ["dots"]),
        ((513, 10, 40), INNERMOST, OUTERMOST, ["few columns"]),
        ((255, 100, 40), INNERMOST, INNERMOST, ["turned columns"]),
        ((256, 100, 40), INNERMOST, INNERMOST, ["dots"]),
        ((256, 100, 40), OUTERMOST, INNERMOST, ["dots"]),
        ((256, 100, 40), OUTERMOST, OUTERMOST, ["columns"]),
    ],
)
def test_a_weight_gradient_lies_in_memory_as_the_weight_does_whichever_way_it_goes(
    caplog, sizes: tuple[int, int, int], dy_lies, x_lies, expected: list[str]
) -> None:
    N, O, I = sizes
    dweight, dbias = linear_grad_weight(dy_lies(N, O), x_lies(N, I))
    assert caplog.messages == [f"({I}, {N}) @ ({N}, {O}): {ways.PRODUCTS[way]}" for way in expected]
    np.testing.assert_array_equal(dweight, np.full((O, I), N))
    np.testing.assert_array_equal(dbias, np.full(O, N))
    assert dweight.flags.c_contiguous


def test_a_linear_layer_goes_by_the_runs_of_its_input(caplog) -> None:
    for outputs in (90, 130):
        linear(OUTERMOST(16, 200), OUTERMOST(outputs, 200), None)
        linear(INNERMOST(16, 200), OUTERMOST(outputs, 200), None)
    taken = [message.partition(": ")[2] for message in caplog.messages]
    assert taken == [ways.PRODUCTS[way] for way in ("dots", "few columns", "dots", "columns")]


def test_the_log_is_told_each_time_though_the_way_is_found_out_once(caplog) -> None:
    for _ in range(2):
        conv2d(INNERMOST(16, 2, 5, 5), OUTERMOST(3, 2, 3, 3), None, (1, 1), (0, 0), (1, 1), 1)
    assert caplog.messages == ["pieces of up to 48 numbers, instead of columns"] * 2


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((64, 24, 4, 4), ["laid side by side first, some tiles at a time"]),  # a channel has 4 KiB
        ((65, 24, 4, 4), []),
        ((1024, 8, 5, 5), ["laid side by side first, 64 images at a time"]),
        ((1024, 7, 5, 5), []),  # 63 pieces a sum
    ],
)
def test_the_log_tells_what_is_copied_first(caplog, sizes: tuple[int, int, int, int], said: list[str]) -> None:
    conv2d(INNERMOST(*sizes), OUTERMOST(96, sizes[1], 3, 3), None, (1, 1), (0, 0), (1, 1), 1)
    assert caplog.messages[1:] == said


@pytest.mark.parametrize(
    ("image", "output", "kernel", "stride", "padding", "expected"),
    [
        ((6, 8), (2, 4), (3, 2), (3, 2), (0, 0), True),
        ((7, 8), (2, 4), (3, 2), (3, 2), (0, 0), False),  # a row that no window has
        ((6, 9), (2, 4), (3, 2), (3, 2), (0, 0), False),
        ((6, 8), (2, 4), (3, 2), (3, 1), (0, 0), False),
        ((6, 8), (2, 4), (3, 2), (2, 2), (0, 0), False),
        ((6, 8), (2, 4), (3, 2), (3, 2), (1, 0), False),
        ((6, 8), (2, 4), (3, 2), (3, 2), (0, 1), False),
    ],
)
def test_windows_tile_an_image_where_each_pixel_has_one(caplog, image, output, kernel, stride, padding, expected):
    assert ways.windows_tile(image, output, kernel, stride, padding) is expected
    assert caplog.messages == [
        "from window to window, as they tile the image" if expected else "each pixel from the windows that see it"
    ]


WINDOW = ((2, 2), (2, 2), (0, 0))
OVERLAPPING = ((2, 2), (1, 1), (0, 0))
POOLS = {  # of images (N, 1, 4, 4)
    "_avg_pool2d": lambda N: pool.avg_pool2d(INNERMOST(N, 1, 4, 4), *WINDOW, True),
    "_avg_pool2d_grad_tiled": lambda N: pool.avg_pool2d_grad(INNERMOST(N, 1, 2, 2), (4, 4), *WINDOW, True),
    "_avg_pool2d_grad": lambda N: pool.avg_pool2d_grad(INNERMOST(N, 1, 3, 3), (4, 4), *OVERLAPPING, True),
    "_max_pool2d": lambda N: pool.max_pool2d(INNERMOST(N, 1, 4, 4), *WINDOW),
    "_max_pool2d_scatter_tiled": lambda N: pool.max_pool2d_scatter(*winners(N, 2), (4, 4), *WINDOW),
    "_choose": lambda N: pool.max_pool2d_scatter(*winners(N, 3), (4, 4), *OVERLAPPING),
    "_choose, gathering": lambda N: pool.max_pool2d_gather(INNERMOST(N, 1, 4, 4), winners(N, 2)[1], *WINDOW),
}


def winners(N: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A gradient, and the first number of each window."""
    return INNERMOST(N, 1, size, size), INNERMOST(N, 1, size, size).astype(np.int32) * 0


@pytest.mark.parametrize("name", POOLS)
def test_few_numbers_are_pooled_by_one_thread_alone(name: str, monkeypatch, caplog) -> None:
    alone, kernel = [], name.partition(",")[0]
    run = getattr(pool, kernel)
    monkeypatch.setattr(pool, kernel, lambda *given, **how: (alone.append(how["alone"]), run(*given, **how)))
    results = [np.asarray(POOLS[name](N)) for N in (1024, 1025)]  # 16,384 numbers, and 16 more
    assert alone == [True, False]
    assert caplog.messages.count("on one thread: too little work for more") == 1
    np.testing.assert_array_equal(results[0], results[1][..., :1024, :, :, :])
