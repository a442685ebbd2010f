"""CUDA C on the processor: the words of CUDA that kernels may use, and what is said of code that does not compile."""

from __future__ import annotations

import numpy as np
import pytest
from host_compiler import why_not
from host_cuda import HostModule, KernelError
from races import Launch, find_races, why_unusable

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def kernel(body: str, parameters: str = "int* x"):
    return HostModule(f'extern "C" __global__ void k({parameters})\n{{ {body} }}').get_function("k")


def test_constant_memory_and_loads_through_the_cache_work() -> None:
    x, y = np.arange(3, dtype=np.int32), np.zeros(3, np.int32)
    code = """
        __constant__ int weights[] = {5, 6, 7};
        extern "C" __global__ void k(const int* x, int* y) { y[threadIdx.x] = weights[__ldg(&x[threadIdx.x])]; }
    """
    HostModule(code).get_function("k")((1,), (3,), (x, y))
    assert y.tolist() == [5, 6, 7]


HISTOGRAM = """extern "C" __global__ void histogram(const int* x, int* counts, int* bounds)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    atomicAdd(&counts[x[i]], 1);
    atomicMin(&bounds[0], x[i]);
    atomicMax(&bounds[1], x[i]);
}"""


def histogram_arguments() -> tuple[np.ndarray, ...]:
    return np.array([2, 0, 2, 2, 3, 0], np.int32), np.zeros(4, np.int32), np.array([9, -9], np.int32)


def test_atomics_of_integers_work() -> None:
    x, counts, bounds = histogram_arguments()
    HostModule(HISTOGRAM).get_function("histogram")((2,), (3,), (x, counts, bounds))
    assert counts.tolist() == [2, 0, 3, 1]
    assert bounds.tolist() == [0, 3]


def test_atomics_return_the_number_before_and_an_order_that_shows_in_it_is_found() -> None:
    x, n = np.zeros(1, np.int32), np.full(1, 7, np.int32)
    kernel("x[0] = atomicAdd(n, 2);", "int* x, int* n")((1,), (1,), (x, n))
    assert (x[0], n[0]) == (7, 9)
    with pytest.raises(KernelError, match=r"argument 0 \(x\): element \d became"):
        kernel("x[threadIdx.x] = atomicAdd(n, 1);", "int* x, int* n")((1,), (4,), (np.zeros(4, np.int32), n))


def test_an_atomic_sum_of_floats_shows() -> None:
    with pytest.raises(KernelError, match=r"argument 1 \(sum\): element 0 became .* or an atomicAdd of floats"):
        kernel("atomicAdd(sum, x[threadIdx.x]);", "const float* x, float* sum")(
            (1,), (64,), (np.random.default_rng(0).random(64, np.float32), np.zeros(1, np.float32))
        )


def test_atomics_do_not_race_with_each_other_but_with_other_accesses() -> None:
    if reason := why_unusable():
        pytest.skip(reason)
    args = histogram_arguments()
    racing = HISTOGRAM.replace("atomicMin(&bounds[0], x[i])", "bounds[0] = counts[0]")
    launches = [Launch(code, (), "histogram", (2,), (3,), args) for code in (HISTOGRAM, racing)]
    none, found = find_races(launches)
    assert none == []
    assert "a write in line 4 and a read in line 5, by threads of one block" in found


# -------------------------------------------------------------------------------------------------------- wrong code


@pytest.mark.parametrize("code", ["x[0] = INFINITY;", "x[0] = y;", "__shared__ float s[]; x[0] = s[0];"])
def test_what_the_compiler_of_cupy_refuses_is_refused(code) -> None:
    with pytest.raises(ValueError, match="the kernels do not compile:\nkernels.cu"):
        kernel(code, "float* x")


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("x[0] = 0.3 * x[0];", "0.5 is a double and 0.5f a float"),
        ("x[0] = max(x[0], 0);", "two numbers of one type"),
        ("extern __shared__ float s[]; x[0] = s[0];", "declare a __shared__ array with its size"),
        ("x[0] = __shfl_down_sync(0xffffffff, x[0], 1);", "use __shared__ memory and __syncthreads"),
        ("atomicExch(x, 1.0f);", "there are atomicAdd, atomicMin and atomicMax"),
        ("x[0] = __expf(x[0]);", "use expf"),
        ("\n#include <cuda_runtime.h>\n", "no file has to be included"),
    ],
)
def test_what_does_not_compile_comes_with_a_hint(code, hint) -> None:
    with pytest.raises(ValueError, match=rf"the kernels do not compile:\n[^$]*\n\(.*{hint}.*\)$"):
        kernel(code, "float* x")


def test_variables_without_a_value_are_refused() -> None:
    with pytest.raises(ValueError, match="uninitialized"):
        kernel("float sum; for (int i = 0; i < 3; ++i) sum += x[i]; x[0] = sum;", "float* x")


def test_options_are_definitions() -> None:
    with pytest.raises(ValueError, match="got the option --fmad=false"):
        HostModule("", ("--fmad=false",))


def test_kernels_are_known_by_their_names() -> None:
    module = HostModule('extern "C" __global__ void a() {}\n__global__ void b() {}')
    with pytest.raises(ValueError, match='no kernel b is declared extern "C" __global__ void; there is: a'):
        module.get_function("b")
