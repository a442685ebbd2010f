"""Finds out whether CuPy can compute here, and says in one sentence what is missing."""

from __future__ import annotations

import cupy

from .activation import sigmoid

NO_DEVICE = 100  # CUDA's error code, cudaErrorNoDevice
PACKAGES = "pip install 'minigrad[cuda12]', or cuda13 for a newer driver, brings what CuPy's bare package lacks"


def check_device() -> None:
    """Runs a real kernel and a real matrix product. Raises RuntimeError where that cannot be."""
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
                f"install minigrad[cuda12] instead of minigrad[cuda13]"
            ) from error
    if devices == 0:
        raise RuntimeError("no NVIDIA GPU is visible; is CUDA_VISIBLE_DEVICES set to hide it?")
    x = cupy.ones((2, 2), cupy.float32)
    try:
        found = (sigmoid(x) + x @ x).get()
    except Exception as error:
        capability = cupy.cuda.Device().compute_capability
        raise RuntimeError(
            f"a GPU of compute capability {capability[:-1]}.{capability[-1:]} is there, but could not run a kernel and "
            f"a matrix product ({type(error).__name__}: {error}); {PACKAGES}"
        ) from error
    if abs(found - 2.7310586).max() > 1e-5:
        raise RuntimeError("the GPU computed a wrong result for a sum of ones")
