"""Finds out whether CuPy can compute here, and says in one sentence what is missing."""

from __future__ import annotations

from contextlib import suppress

import cupy

from .activation import sigmoid
from .memory import explain_full_memory

NO_DEVICE = 100  # CUDA's error code, cudaErrorNoDevice

# Words of the errors that CuPy, its compiler and CUDA's libraries raise, on Linux and on Windows.
NO_COMPILER = ("libnvrtc", "nvrtc64")
NO_CUBLAS = ("libcublas", "cublas64")
TOO_OLD = ("NoKernelImage", "invalid value for --gpu-architecture", "ARCH_MISMATCH")


def check_device() -> None:
    """Runs a real kernel and a real matrix product. Raises RuntimeError where that cannot be."""
    _check_visible()
    with suppress(ValueError):  # inside using_allocator, memory is the user's concern
        explain_full_memory()
    try:
        x = cupy.ones((2, 2), cupy.float32)
        found = (sigmoid(x) + x @ x).get()
    except MemoryError:
        raise  # it says what to do
    except Exception as error:
        raise RuntimeError(_reason(error)) from error
    if abs(found - 2.7310586).max() > 1e-5:
        raise RuntimeError("the GPU computed a wrong result for a sum of ones")


def _check_visible() -> None:
    runtime = cupy.cuda.runtime
    try:
        devices = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        version = runtime.driverGetVersion()
        if error.status == NO_DEVICE:
            devices = 0
        elif version == 0:
            raise RuntimeError("no NVIDIA driver was found; install the one for your GPU") from error
        else:
            driver = f"{version // 1000}.{version % 1000 // 10}"
            raise RuntimeError(
                f"the NVIDIA driver is made for CUDA {driver}, too old for CuPy {cupy.__version__}; update it, or "
                f"install cupy-cuda12x in the place of cupy-cuda13x"
            ) from error
    if devices == 0:
        raise RuntimeError("no NVIDIA GPU is visible; is CUDA_VISIBLE_DEVICES set to hide it?")


def _reason(error: Exception) -> str:
    """What is wrong with a GPU that is there, and the way to mend it."""
    text = str(error)
    cuda = cupy.cuda.runtime.runtimeGetVersion() // 1000
    complete = f"pip install 'cupy-cuda{cuda}x[ctk]' brings it"
    if any(word in text for word in NO_COMPILER):
        return f"NVRTC, which compiles kernels, is not installed; {complete}"
    if any(word in text for word in NO_CUBLAS):
        return f"cuBLAS, which multiplies matrices, is not installed; {complete}"
    capability = cupy.cuda.Device().compute_capability
    gpu = f"the GPU, of compute capability {capability[:-1]}.{capability[-1:]},"
    if any(word in text for word in TOO_OLD):
        needed = "cupy-cuda12x needs 5.0 or later, cupy-cuda13x 7.5 or later"
        return f"{gpu} is too old for CuPy {cupy.__version__} on CUDA {cuda}; {needed}"
    what = f"could not run a kernel and a matrix product ({type(error).__name__}: {text.strip()})"
    return f"{gpu} {what}; does pip install 'cupy-cuda{cuda}x[ctk]' bring what is missing?"
