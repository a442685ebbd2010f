"""Three CUDA kernels with a mistake each, run, caught and mended without a GPU: `python examples/cuda_on_cpu.py`.

The mistakes are the usual ones: two threads add to one number, a barrier is missing, a thread writes outside its array.
Change the kernels below and run it again. docs/cuda.md shows how to do the same with your own, and how to step through
them in a debugger. What runs them is in tests/gpu.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path

import numpy as np

from minigrad.backends.numpy import col2im

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "gpu"))
try:
    from host_compiler import why_not
    from host_cuda import HostModule, KernelError
    from races import Launch, find_races, why_unusable
except ModuleNotFoundError:
    sys.exit("cuda_on_cpu.py: error: needs the folder tests/gpu, which comes with a clone of minigrad and not with pip")

WIDTH = 100  # columns of the text

K, H, W = 3, 6, 6  # the window and the image of the convolution whose columns are added up; stride 1, no padding
OUTPUT = (H - K + 1, W - K + 1)
PIXEL = 7  # the one that is looked at: four entries of the columns come from it

# ------------------------------------------------------------------------------------------------- 1. adding to a pixel

SCATTER = """\
// A thread for each entry of cols (K, K, OH, OW) adds it to the pixel that it comes from.
extern "C" __global__ void scatter(const float* cols, float* x, int K, int H, int W)
{
    int OH = H - K + 1, OW = W - K + 1;
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= K * K * OH * OW)
        return;
    int q = i % OW, p = i / OW % OH, kj = i / OW / OH % K, ki = i / OW / OH / K;
    int pixel = (p + ki) * W + q + kj;
    x[pixel] += cols[i];
}
"""

# What a GPU makes of the last line: read, add, write. The barrier has all threads read before any of them writes.
SLOW_MOTION = SCATTER.replace(
    "    x[pixel] += cols[i];\n",
    """\
    float before = x[pixel];
    __syncthreads();
    x[pixel] = before + cols[i];
    if (pixel == PIXEL)
        printf("    thread %3d reads %g, adds %g, writes %g\\n", i, before, cols[i], before + cols[i]);
""".replace("PIXEL", str(PIXEL)),
)

GATHER = """\
// A thread for each pixel of x (H, W) sums the entries of cols that come from it.
extern "C" __global__ void gather(const float* cols, float* x, int K, int H, int W)
{
    int OH = H - K + 1, OW = W - K + 1;
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= H * W)
        return;
    int h = i / W, w = i % W;
    float sum = 0;
    for (int ki = 0; ki < K; ++ki)
        for (int kj = 0; kj < K; ++kj) {
            int p = h - ki, q = w - kj;  // who sees the pixel through tap (ki, kj)
            if (p >= 0 && p < OH && q >= 0 && q < OW)
                sum += cols[((ki * K + kj) * OH + p) * OW + q];
        }
    x[i] = sum;
}
"""

# ------------------------------------------------------------------------------------------------ 2. waiting for others

HASTY_SUM = """\
// Block n sums row n of x (rows, 64): half of the threads add the other half's,
// then a quarter of them, and so on.
extern "C" __global__ void row_sum(const float* x, float* sums)
{
    __shared__ float partial[64];  // seen by all threads of the block
    partial[threadIdx.x] = x[blockIdx.x * 64 + threadIdx.x];
    for (int half = 32; half > 0; half /= 2) {
        if (threadIdx.x < half)
            partial[threadIdx.x] += partial[threadIdx.x + half];
    }
    if (threadIdx.x == 0)
        sums[blockIdx.x] = partial[0];
}
"""
SUM = HASTY_SUM.replace("half /= 2) {\n", "half /= 2) {\n        __syncthreads();\n")

# ---------------------------------------------------------------------------------------------- 3. staying in the array

CARELESS_FILL = """\
// Thread i sets element i of y.
extern "C" __global__ void fill(float* y, int size, float value)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = value;
}
"""
FILL = CARELESS_FILL.replace("    y[i]", "    if (i < size)\n        y[i]")


def main() -> int:
    argparse.ArgumentParser(description="Shows three mistakes in CUDA kernels, caught and mended.").parse_args()
    if sys.platform != "linux":
        sys.exit(f"cuda_on_cpu.py: error: runs on Linux, this is {sys.platform}; on Windows, use WSL")
    if why_not():
        sys.exit(
            "cuda_on_cpu.py: error: needs the compiler g++; install it with `sudo apt install g++` (Debian, Ubuntu) or "
            "`sudo dnf install gcc-c++` (Fedora)"
        )
    try:
        add_up_columns()
        sum_rows()
        fill_array()
    except OSError as error:  # compiled kernels are kept in files
        sys.exit(f"cuda_on_cpu.py: error: {error}")
    return 0


def add_up_columns() -> None:
    cols = np.random.default_rng(0).standard_normal((K, K, *OUTPUT)).astype(np.float32)  # 144 numbers
    x = np.zeros((H, W), np.float32)  # 36 numbers
    sizes = (np.int32(K), np.int32(H), np.int32(W))  # a kernel's int; a Python int would be passed as eight bytes
    scattering = Launch(SCATTER, (), "scatter", (5,), (32,), (cols, x, *sizes))
    slow = Launch(SLOW_MOTION, (), "scatter", (1,), (144,), (np.ones_like(cols), x, *sizes))
    gathering = Launch(GATHER, (), "gather", (2,), (32,), (cols, x, *sizes))

    headline("1. Two threads add to one number")
    say(
        "col2im sums, for each pixel, the entries that im2col had copied from it. The obvious way is a thread for each "
        "entry, which adds it to its pixel:"
    )
    show(SCATTER)
    say("144 entries, 5 blocks of 32 threads. The launch is run twice, in two random orders of threads:")
    run_into_error(scattering)
    say(
        "A sum of floats depends on the order of its terms, in the last digit. That alone would be harmless. But it "
        "shows that several threads write one number, and on a GPU they do so at the same time. Here is one pixel in "
        "slow motion, with entries of 1 (printf works in kernels): x[pixel] += cols[i] reads, adds and writes, and all "
        "threads read before any of them writes."
    )
    run(slow)
    say(f"Four threads have added 1, and the pixel holds {x.flat[PIXEL]:g}. Whether a GPU does so is chance.")
    assert x.flat[PIXEL] == 1
    say("A test must not wait for it to happen. ThreadSanitizer watches who touches what, and needs no luck:")
    races, none = watch(scattering, gathering)
    quote(*races)
    say("Mended: a thread for each pixel, which gathers its entries and is the only one that writes it.")
    show(GATHER)
    run(gathering)
    quote(*none)
    expected = col2im(cols[None, ..., None], (H, W), stride=(1, 1), padding=(0, 0), dilation=(1, 1))[0, 0]
    compare(x, expected, "the numpy backend's col2im")


def sum_rows() -> None:
    x, sums = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32), np.zeros(3, np.float32)
    hasty = Launch(HASTY_SUM, (), "row_sum", (3,), (64,), (x, sums))
    waiting = hasty._replace(code=SUM)

    headline("2. A barrier is missing")
    say("A block of 64 threads sums a row. In each round a thread reads what another has written the round before:")
    show(HASTY_SUM)
    run_into_error(hasty)
    say("Nothing makes the threads of a round wait for those of the round before:")
    races, none = watch(hasty, waiting)
    quote(*races)
    say("Mended: in line 8 all threads of the block wait for each other.")
    show(SUM)
    run(waiting)
    quote(*none)
    compare(sums, x.sum(axis=1), "NumPy's sum")


def fill_array() -> None:
    y = np.zeros(100, np.float32)
    careless = Launch(CARELESS_FILL, (), "fill", (4,), (32,), (y, np.int32(100), np.float32(7)))

    headline("3. A thread writes outside its array")
    say("100 numbers and 4 blocks of 32 threads: the last block has 28 threads to spare.")
    show(CARELESS_FILL)
    run_into_error(careless)
    say("A GPU would have written into whatever lies behind the array, and told nobody. Mended:")
    show(FILL)
    run(careless._replace(code=FILL))
    compare(y, np.full(100, 7, np.float32), "seven")


# ---------------------------------------------------------------------------------------------------- running a launch


def run(launch: Launch) -> None:
    """As `cupy.RawModule(code=code).get_function(name)(grid, block, args)` would on a GPU, with arrays of CuPy."""
    HostModule(launch.code).get_function(launch.name)(launch.grid, launch.block, launch.args)


def run_into_error(launch: Launch) -> None:
    try:
        run(launch)
    except KernelError as error:
        quote(f"KernelError: {error}")
    else:
        raise AssertionError(f"the mistake in {launch.name} was not found")


def watch(wrong: Launch, right: Launch) -> list[list[str]]:
    """What ThreadSanitizer says of a kernel with races and of one without, in lines of text."""
    if reason := why_unusable():
        return [[f"(not here: {reason})"]] * 2
    races, none = find_races([wrong, right])
    assert races
    assert not none
    return [[f"race: {race}" for race in races], ["no races"]]


# --------------------------------------------------------------------------------------------------- what is printed


def compare(actual: np.ndarray, expected: np.ndarray, whose: str) -> None:
    difference = abs(actual - expected).max()
    quote(f"largest difference from {whose}: {difference:.1g}")
    assert difference < 1e-5


def headline(text: str) -> None:
    print(f"\n{text}\n{'=' * len(text)}")


def say(text: str) -> None:
    print("\n" + textwrap.fill(text, WIDTH))


def quote(*texts: str) -> None:
    for text in texts:
        print(textwrap.fill(text, WIDTH, initial_indent="    ", subsequent_indent="      "))


def show(code: str) -> None:
    """The code with the numbers of its lines, which errors name."""
    print()
    for number, line in enumerate(code.splitlines(), start=1):
        print(f"    {number:2}  {line}")


if __name__ == "__main__":
    sys.exit(main())
