"""CUDA C on the processor: right kernels give what they should, and each mistake that a GPU forgives is told."""

from __future__ import annotations

import os
import signal
import threading
import time

import host_cuda
import numpy as np
import pytest
import races
from host_compiler import why_not
from host_cuda import HostModule, KernelError
from races import Launch, find_races, why_unusable

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture
def watched() -> None:
    if reason := why_unusable():
        pytest.skip(reason)


SCALE = """
// Thread i computes y[i] = factor x[i]. /* extern "C" __global__ void no_kernel(int n) {} */
extern "C" __global__ void scale(const REAL* __restrict__ x, REAL* y, int size, REAL factor)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < BOUND)
        y[i + SHIFT] = factor * x[i];
}
"""

# Block n reverses row n of x (blocks, 8) and adds to each number the maximum of its row.
ROWS = """
__device__ REAL largest_of(REAL value, REAL* shared)
{
    shared[threadIdx.x] = value;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            shared[threadIdx.x] = max(shared[threadIdx.x], shared[threadIdx.x + half]);
        BARRIER;
    }
    return shared[0];
}

extern "C" __global__ void rows(const REAL* x, REAL* y)
{
    __shared__ REAL values[8], shared[8];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    values[threadIdx.x] = x[i];
    REAL largest = largest_of(x[i], shared);
    y[i] = values[7 - threadIdx.x] + largest;
}
"""

# Thread i adds x[i] to the sum of its bin: two threads may do so at once.
SCATTER = """
extern "C" __global__ void scatter(const int* bins, const REAL* x, REAL* sums)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    sums[bins[i]] += x[i];
}
"""

RIGHT = "-DBARRIER=__syncthreads()"
WRONG = "-DBARRIER=((void)0)"


def scale(bound: str = "size", shift: str = "0", real: str = "float"):
    options = (f"-DREAL={real}", f"-DBOUND={bound}", f"-DSHIFT={shift}")
    return HostModule(SCALE, options).get_function("scale")


def kernel(body: str, parameters: str = "int* x"):
    return HostModule(f'extern "C" __global__ void k({parameters})\n{{ {body} }}').get_function("k")


def numbers(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def expected_rows(x: np.ndarray) -> np.ndarray:
    return x[:, ::-1] + x.max(axis=1, keepdims=True)


# ------------------------------------------------------------------------------------------------------- right kernels


@pytest.mark.parametrize(("real", "dtype"), [("float", "float32"), ("double", "float64")])
def test_one_source_serves_float_and_double(real, dtype) -> None:
    x, y = numbers(1000, dtype=dtype), np.full(1000, np.nan, dtype)
    factor = y.dtype.type(0.1)
    scale(real=real)((4,), (256,), (x, y, np.int32(1000), factor))
    np.testing.assert_array_equal(y, factor * x)


def test_functions_of_floats_are_computed_in_float() -> None:
    x, y = numbers(5), np.empty(5, np.int32)
    kernel("y[threadIdx.x] = sizeof(exp(x[threadIdx.x]));", "const float* x, int* y")((1,), (5,), (x, y))
    assert y.tolist() == [4] * 5


def test_threads_wait_for_each_other_at_barriers() -> None:
    x, y = numbers(5, 8), np.empty((5, 8), np.float32)
    HostModule(ROWS, ("-DREAL=float", RIGHT)).get_function("rows")((5,), (8,), (x, y))
    np.testing.assert_array_equal(y, expected_rows(x))


@pytest.mark.parametrize("seed", range(5))
def test_right_kernels_give_the_same_in_any_order(seed, monkeypatch) -> None:
    monkeypatch.setattr(host_cuda, "seed", seed)
    x, y = numbers(7, 8), np.empty((7, 8), np.float32)
    HostModule(ROWS, ("-DREAL=float", RIGHT)).get_function("rows")((7,), (8,), (x, y))
    np.testing.assert_array_equal(y, expected_rows(x))


def test_grids_and_blocks_have_three_sides() -> None:
    number = """
        int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
        int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
        int i = block * blockDim.x * blockDim.y * blockDim.z + thread;
        x[i] += i;
    """
    x = np.zeros(2 * 3 * 4 * 5 * 6 * 7, np.int32)
    kernel(number)((2, 3, 4), (5, 6, 7), (x,))
    np.testing.assert_array_equal(x, np.arange(x.size))


def test_arrays_may_be_written_in_place_and_be_passed_twice() -> None:
    x = numbers(6)
    before = x.copy()
    scale()((1,), (8,), (x, x, np.int32(6), np.float32(2)))
    np.testing.assert_array_equal(x, 2 * before)


def test_parameters_may_be_written_as_arrays() -> None:
    x = np.zeros(3, np.int32)
    kernel("x[threadIdx.x] = n;", "int x[], int n")((1,), (3,), (x, np.int32(2)))
    assert x.tolist() == [2, 2, 2]


def test_empty_arrays_are_passed_and_not_touched() -> None:
    x, y = numbers(0), numbers(0)
    scale()((1,), (8,), (x, y, np.int32(0), np.float32(2)))
    with pytest.raises(KernelError, match=r"argument 0 \(x\) has 0 elements, .* element 0"):
        scale()((1,), (1,), (x, y, np.int32(1), np.float32(2)))


def test_a_launch_that_fails_changes_nothing_and_the_next_one_works() -> None:
    x, y = numbers(6), np.zeros(6, np.float32)
    with pytest.raises(KernelError):
        scale()((1,), (8,), (x, y, np.int32(7), np.float32(2)))
    assert not y.any()
    scale()((1,), (8,), (x, y, np.int32(6), np.float32(2)))
    np.testing.assert_array_equal(y, 2 * x)


def test_the_compiled_code_is_kept(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code = 'extern "C" __global__ void kept(int* x) { x[0] = 1; }'
    HostModule(code)
    (library,) = tmp_path.rglob("*.so")
    time = library.stat().st_mtime_ns
    host_cuda.compiled.cache_clear()
    HostModule(code)
    assert [path.stat().st_mtime_ns for path in tmp_path.rglob("*.so")] == [time]
    HostModule(code, ("-DX=1",))
    assert len(list(tmp_path.rglob("*.so"))) == 2


# ------------------------------------------------------------------------------------------------------ wrong memory


@pytest.mark.parametrize("size", [6, 1024])  # 1024 floats fill a page, 6 do not
def test_reading_and_writing_behind_an_array_are_found(size) -> None:
    x, y = numbers(size), np.zeros(size, np.float32)
    long = numbers(size + 1)
    launch = scale()
    grid, more = (size // 8 + 1,), np.int32(size + 1)
    with pytest.raises(KernelError, match=rf"\(x\) has {size} elements, .* reads or writes element {size}$"):
        launch(grid, (8,), (x, long, more, np.float32(2)))
    with pytest.raises(KernelError, match=rf"\(y\) has {size} elements, .* reads or writes element {size}$"):
        launch(grid, (8,), (long, y, more, np.float32(2)))


def test_writing_before_an_array_is_found() -> None:
    x, y = numbers(6), np.zeros(6, np.float32)
    thread = r"thread \(0, 0, 0\) of block \(0, 0, 0\)"
    message = rf"argument 1 \(y\) has 6 elements, and in line 7 {thread} reads or writes element -1"
    with pytest.raises(KernelError, match=message):
        scale(shift="-1")((1,), (8,), (x, y, np.int32(6), np.float32(2)))


def test_reading_before_an_array_is_found_though_nothing_comes_of_it() -> None:
    with pytest.raises(KernelError, match=r"argument 0 \(x\) .* element -1"):
        kernel("y[0] = x[-1] > 0 ? 1 : 1.0f + 0 * y[0];", "const volatile float* x, float* y")(
            (1,), (1,), (numbers(3), np.zeros(3, np.float32))
        )


def test_a_pointer_to_nowhere_is_found() -> None:
    with pytest.raises(KernelError, match="far outside its arrays"):
        kernel("*(volatile int*)8 = 1; x[0] = 1;")((1,), (1,), (np.zeros(1, np.int32),))


def test_an_array_in_shared_memory_has_its_size() -> None:
    body = "__shared__ int s[4]; s[threadIdx.x + 1] = 1; __syncthreads(); x[threadIdx.x] = s[threadIdx.x];"
    with pytest.raises(KernelError, match="used an index outside an array of fixed size"):
        kernel(body)((1,), (4,), (np.zeros(4, np.int32),))


def test_an_index_below_zero_in_an_unsigned_int_is_told_as_such() -> None:
    with pytest.raises(
        KernelError, match=r"argument 0 \(x\): in line 2 .* element 4294967295, which is -1 as an unsigned"
    ):
        kernel("x[threadIdx.x - 1] = 1;")((1,), (4,), (np.zeros(4, np.int32),))


@pytest.mark.parametrize(
    "body",
    ["int own[100000]; for (int i = 0; i < 100000; ++i) own[i] = x[0]; x[0] = own[x[1]];", "x[0] = deep(x[0] + 1, x);"],
)
def test_a_thread_with_too_much_memory_of_its_own_is_found_and_the_next_launch_works(body) -> None:
    deep = "__device__ int deep(int n, int* x) { x[1] += n; return deep(n + 1, x) + deep(n + 2, x); }"
    code = f'{deep} extern "C" __global__ void k(int* x) {{ {body} }}'
    with pytest.raises(KernelError, match="k: in line .* needs more than 256 KB of memory for variables of its own"):
        HostModule(code).get_function("k")((1,), (4,), (np.zeros(4, np.int32),))
    x = np.zeros(4, np.int32)
    kernel("int own[50000]; own[x[3]] = 5; __syncthreads(); x[threadIdx.x] = own[x[3]];")((1,), (3,), (x,))
    assert x.tolist() == [5, 5, 5, 0]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_kernel_without_end_can_be_interrupted(elsewhere) -> None:
    endless, done = kernel("volatile int* flag = x;\n while (flag[0] == 0);"), []

    def launch() -> None:
        with pytest.raises(KeyboardInterrupt, match=r"k: in line 3 thread \(0, 0, 0\) of block .* was interrupted"):
            endless((1,), (1,), (np.zeros(1, np.int32),))
        done.append(True)

    def interrupt() -> None:
        while not host_cuda._lock.locked():
            time.sleep(0.01)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    if elsewhere:
        thread = threading.Thread(target=launch)
        thread.start()
        thread.join()
    else:
        launch()
    interrupter.join()
    assert done


def test_constant_arrays_must_stay_as_they_are() -> None:
    with pytest.raises(KernelError, match=r"argument 0 \(x\) is constant, and was written to"):
        kernel("((float*)x)[0] = 7;", "const float* x")((1,), (1,), (numbers(3),))


def test_overlapping_arrays_are_refused() -> None:
    x = numbers(7)
    with pytest.raises(ValueError, match="arguments 0 and 1 overlap"):
        scale()((1,), (8,), (x[1:], x[:-1], np.int32(6), np.float32(2)))


# ------------------------------------------------------------------------------------------------------- whole numbers


def test_an_int_that_overflows_is_found_and_a_long_one_does_not() -> None:
    y, n = np.zeros(1, np.int64), np.int32(70_000)
    with pytest.raises(KernelError, match="line 2 .* let an int overflow"):
        kernel("y[0] = n * n;", "long long* y, int n")((1,), (1,), (y, n))
    kernel("y[0] = (long long)n * n;", "long long* y, int n")((1,), (1,), (y, n))
    assert y[0] == 4_900_000_000


def test_division_by_zero_is_found() -> None:
    with pytest.raises(KernelError, match="line 2 .* divided by 0"):
        kernel("x[0] = 1 / x[0];")((1,), (1,), (np.zeros(1, np.int32),))


# ------------------------------------------------------------------------------------------- lines, printf, debuggers


@pytest.mark.parametrize("line", [3, 4, 5, 6])
def test_an_error_names_the_line_of_the_mistake(line) -> None:
    body = """ int n = x[0];
        int sum = n == 3 ? n << n * 20 : n * x[2];
        sum += x[n == 4 ? -1 : 0];
        sum += min(x[1], x[n == 5 ? 1000 : 0]);
        x[1] = sum / (n - 6);
    """
    x = np.array([line, 1, 2], np.int32)
    with pytest.raises(KernelError, match=f"in line {line} thread"):
        kernel(body)((1,), (1,), (x,))


def test_kernels_print_in_one_order_of_the_two(capfd) -> None:
    body = 'printf("%d %d: %.2f\\n", blockIdx.x, threadIdx.x, x[blockIdx.x] / 3);\n printf("");'
    kernel(body, "const float* x")((2,), (3,), (np.array([1, 2], np.float32),))
    lines = capfd.readouterr().out.splitlines()
    assert sorted(lines) == ["0 0: 0.33", "0 1: 0.33", "0 2: 0.33", "1 0: 0.67", "1 1: 0.67", "1 2: 0.67"]
    assert lines != sorted(lines)  # the threads run in a random order


def test_the_source_lies_where_a_debugger_looks_for_it(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code = 'extern "C" __global__ void found(int* x) { x[0] = 1; }'
    HostModule(code)
    (library,) = tmp_path.rglob("*.so")
    assert str(library.parent).encode() in library.read_bytes()
    assert (library.parent / "kernels.cu").read_text() == code


# ------------------------------------------------------------------------------------------------- races and barriers


@pytest.mark.parametrize("seed", range(5))
def test_a_missing_barrier_shows_in_shuffled_orders(seed, monkeypatch) -> None:
    monkeypatch.setattr(host_cuda, "seed", seed)
    x, y = numbers(3, 8), np.empty((3, 8), np.float32)
    message = r"rows: argument 1 \(y\): element \d+ became .* in one order .*a missing __syncthreads\(\)"
    with pytest.raises(KernelError, match=message):
        HostModule(ROWS, ("-DREAL=float", WRONG)).get_function("rows")((3,), (8,), (x, y))


def test_shared_memory_that_nobody_has_written_to_shows() -> None:
    body = (
        "__shared__ float s[4]; if (threadIdx.x) s[threadIdx.x] = 1; __syncthreads(); x[threadIdx.x] = s[threadIdx.x];"
    )
    with pytest.raises(KernelError, match="element 0 became"):
        kernel(body, "float* x")((1,), (4,), (np.zeros(4, np.float32),))


def test_a_sum_in_no_fixed_order_shows() -> None:
    x, bins, sums = numbers(64), np.zeros(64, np.int32), np.zeros(1, np.float32)
    with pytest.raises(KernelError, match=r"argument 2 \(sums\): element 0 became"):
        HostModule(SCATTER, ("-DREAL=float",)).get_function("scatter")((4,), (16,), (bins, x, sums))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("if (threadIdx.x < 3) return;\n __syncthreads(); x[0] = 1;", "line 3, others have come to their end"),
        ("if (threadIdx.x < 3)\n __syncthreads();\n else\n __syncthreads();", "line 5, others in line 3"),
    ],
)
def test_all_threads_of_a_block_must_come_to_the_same_barrier(body, message) -> None:
    with pytest.raises(KernelError, match=rf"block \(0, 0, 0\) wait at __syncthreads\(\) in {message}"):
        kernel(body)((1,), (8,), (np.zeros(8, np.int32),))


def rows_launch(barrier: str) -> Launch:
    x, y = numbers(3, 8), np.empty((3, 8), np.float32)
    return Launch(ROWS, ("-DREAL=float", barrier), "rows", (3,), (8,), (x, y))


def scatter_launch(bins: list[int], grid: int, block: int) -> Launch:
    args = (np.array(bins, np.int32), np.ones(4, np.float32), np.zeros(4, np.float32))
    return Launch(SCATTER, ("-DREAL=float",), "scatter", (grid,), (block,), args)


def test_races_are_found_whatever_the_order_and_right_kernels_have_none(watched) -> None:
    launches = {
        "with all barriers": rows_launch(RIGHT),
        "a barrier is missing": rows_launch(WRONG),
        "every thread its own bin": scatter_launch([2, 0, 3, 1], 2, 2),
        "one bin for threads of a block": scatter_launch([0, 0, 3, 1], 2, 2),
        "one bin for threads of two blocks": scatter_launch([0, 2, 0, 1], 2, 2),
    }
    found = dict(zip(launches, find_races(list(launches.values())), strict=True))
    assert found["with all barriers"] == found["every thread its own bin"] == []
    assert "a write in line 8 and a read in line 8, by threads of one block" in found["a barrier is missing"]
    assert all(race.endswith("threads of one block") for race in found["one bin for threads of a block"])
    assert all(race.endswith("threads of two blocks") for race in found["one bin for threads of two blocks"])
    assert found["one bin for threads of a block"]
    assert found["one bin for threads of two blocks"]


def test_what_threads_keep_for_themselves_does_not_race(watched) -> None:
    code = """
        __device__ __attribute__((noinline)) void swap(int* a, int* b) { int old = *a; *a = *b; *b = old; }
        extern "C" __global__ void k(int* x)
        {
            int i = blockIdx.x * blockDim.x + threadIdx.x, own[2] = {i, 2 * i};
            swap(&own[0], &own[1]);
            x[i] = own[0];
        }
    """
    assert find_races([Launch(code, (), "k", (2,), (3,), (np.zeros(6, np.int32),))]) == [[]]


def test_a_launch_that_cannot_be_watched_is_no_launch_without_races(watched) -> None:
    diverging = 'extern "C" __global__ void k() { if (threadIdx.x) __syncthreads(); }'
    with pytest.raises(RuntimeError, match="not all threads reach the barrier in line 1"):
        find_races([Launch(diverging, (), "k", (1,), (2,), ())])


@pytest.mark.parametrize("bound", ["size", "size + 1", "size + 1000000000"])
def test_a_launch_that_leaves_its_arrays_is_not_taken_for_one_without_races(watched, bound) -> None:
    options = ("-DREAL=float", f"-DBOUND={bound}", "-DSHIFT=(i < size ? 0 : i + 100000)")
    args = (numbers(7), np.zeros(7, np.float32), np.int32(7), np.float32(2))
    launches = [rows_launch(RIGHT), Launch(SCALE, options, "scale", (2,), (4,), args)]
    if bound == "size":
        assert find_races(launches) == [[], []]
    else:
        with pytest.raises(
            RuntimeError, match="^scale reads or writes outside its arrays, or crashes; HostModule says"
        ):
            find_races(launches)


def test_wrong_arguments_of_a_launch_to_watch_are_told_as_those_of_others(watched) -> None:
    launch = rows_launch(RIGHT)
    with pytest.raises(RuntimeError, match=r"no end:\nTypeError: rows takes 2 arguments \(x, y\), got 1\n$"):
        find_races([launch._replace(args=launch.args[:1])])


def test_why_races_cannot_be_found_is_said(watched, monkeypatch) -> None:
    monkeypatch.setattr(races, "_sanitizer", lambda: "libtsan.so")
    assert "libtsan" in str(why_unusable.__wrapped__())


# ---------------------------------------------------------------------------------------------------- wrong launches


def arguments() -> list:
    return [numbers(6), np.zeros(6, np.float32), np.int32(6), np.float32(2)]


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (2, 6, r"argument 2 \(size\) is the Python int 6, which CuPy passes as eight bytes; write np.int32\(6\)"),
        (3, 2.0, r"argument 3 \(factor\) is the Python float 2.0, .* write np.float32\(2.0\)"),
        (2, np.int64(6), r"argument 2 \(size\) must be np.int32, got np.int64"),
        (3, np.float64(2), r"argument 3 \(factor\) must be np.float32, got np.float64"),
        (2, np.zeros(1, np.int32), r"argument 2 \(size\) must be np.int32, got ndarray"),
        (
            0,
            numbers(6, dtype="float64"),
            r"argument 0 \(x\) must be a constant array of float32, got an array of float64",
        ),
        (1, np.zeros(6, np.int32), r"argument 1 \(y\) must be an array of float32, got an array of int32"),
        (0, [1.0], r"argument 0 \(x\) must be a constant array of float32, got list"),
        (0, np.float32(1), r"argument 0 \(x\) must be a constant array of float32, got float32"),
    ],
)
def test_arguments_must_be_what_the_kernel_declares(position, value, message) -> None:
    args = arguments()
    args[position] = value
    with pytest.raises(TypeError, match=message):
        scale()((1,), (8,), args)


def test_arguments_must_be_as_many_as_the_kernel_declares() -> None:
    for args in (arguments()[:-1], [*arguments(), np.int32(1)]):
        with pytest.raises(TypeError, match=rf"takes 4 arguments \(x, y, size, factor\), got {len(args)}"):
            scale()((1,), (8,), args)


def test_arrays_must_be_contiguous_and_writeable() -> None:
    x, y, *rest = arguments()
    with pytest.raises(ValueError, match=r"argument 0 \(x\) has strides \(8,\)"):
        scale()((1,), (8,), (numbers(12)[::2], y, *rest))
    y.flags.writeable = False
    with pytest.raises(ValueError, match=r"argument 1 \(y\) is written to"):
        scale()((1,), (8,), (x, y, *rest))


@pytest.mark.parametrize(
    ("grid", "block"),
    [((0,), (8,)), ((1,), (0,)), ((1,), (1025,)), ((1,), (32, 33)), ((1, 65536), (1,)), ((1,), (1, 1, 65))],
)
def test_grids_and_blocks_must_be_within_the_limits(grid, block) -> None:
    with pytest.raises(ValueError, match="the sides of the|at most 1024 threads"):
        scale()(grid, block, arguments())


def test_arguments_are_a_tuple() -> None:
    with pytest.raises(TypeError, match=r"k: the arguments must be a tuple \(x,\), got ndarray"):
        kernel("x[0] = 1;")((1,), (1,), np.zeros(1, np.int32))


@pytest.mark.parametrize("grid", [1, (1, 1, 1, 1), (), (2.5,), [1]])
def test_grids_are_tuples(grid) -> None:
    with pytest.raises(TypeError, match="the grid must be a tuple of one to three whole numbers"):
        scale()(grid, (8,), arguments())


def test_shared_memory_of_a_size_given_at_the_launch_is_refused() -> None:
    with pytest.raises(ValueError, match="declare a __shared__ array with its size"):
        scale()((1,), (8,), arguments(), shared_mem=64)
