"""Runs CUDA kernels on the processor: compiled by g++ with cuda_host.h, launched on NumPy arrays.

Each array is copied between guard zones for the launch, so that a number written outside of it is noticed. A second
launch, between other zones and with blocks and threads in the reverse order, must agree: else a number from outside was
read, or the order of two threads makes a difference.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

HEADER = Path(__file__).with_name("cuda_host.h")
CACHE = Path(tempfile.gettempdir()) / f"minigrad-cuda-{os.getuid()}"
FLAGS = ("-std=c++17", "-O1", "-fPIC", "-shared", "-pthread", "-Wall", "-Wextra", "-Wdouble-promotion", "-Werror")
FLAGS += ("-Wno-unused-function", "-Wno-unused-parameter", "-Wno-unused-variable")
KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
TYPES = {"float": "float32", "double": "float64", "int": "int32", "long long": "int64"}
GUARD = 4096  # bytes before and behind an array
PATTERNS = (0xFF, 0x3C)  # NaN or -1, and small numbers
SEEDS = itertools.count()  # each launch in another order of blocks and threads


class HostModule:
    """The kernels of a source, for the types that the options define: the same arguments as cupy.RawModule."""

    def __init__(self, code: str, options: Sequence[str] = ()) -> None:
        defines = dict(option.removeprefix("-D").split("=") for option in options)
        self.kernels = {
            name: [_Parameter(text, defines) for text in parameters.split(",")]
            for name, parameters in KERNEL.findall(code)
        }
        self.barriers = "__syncthreads" in code
        launchers = "".join(_launcher(name, parameters) for name, parameters in self.kernels.items())
        self.machine_code = ctypes.CDLL(str(_compiled(f'#include "{HEADER}"\n{code}\n{launchers}', options)))

    def get_function(self, name: str) -> Any:
        parameters = self.kernels[name]

        def function(grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
            if len(grid) != 1 or len(block) != 1 or not 0 < grid[0] < 1 << 31 or not 0 < block[0] <= 1024:
                raise ValueError(f"{name}: a GPU takes no grid of {grid} blocks of {block} threads")
            if len(arguments) != len(parameters):
                raise TypeError(f"{name} takes {len(parameters)} arguments, got {len(arguments)}")
            for parameter, argument in zip(parameters, arguments, strict=True):
                parameter.check(name, argument)
            seed = next(SEEDS)
            results = [self._run(name, grid[0], block[0], arguments, seed, reverse) for reverse in (False, True)]
            for argument, parameter, first, second in zip(arguments, parameters, *results, strict=True):
                if isinstance(argument, np.ndarray):
                    _accept(name, parameter, argument, first, second)

        return function

    def _run(
        self, name: str, grid: int, block: int, arguments: tuple[Any, ...], seed: int, reverse: bool
    ) -> list[np.ndarray]:
        """The memory of each argument after the launch, with its guard zones."""
        memories, pattern = [], PATTERNS[reverse]
        for argument in arguments:
            memory = np.full(2 * GUARD + argument.nbytes, pattern, np.uint8)
            memory[GUARD : GUARD + argument.nbytes] = np.frombuffer(argument.tobytes(), np.uint8)
            memories.append(memory)
        pointers = (ctypes.c_void_p * len(memories))(*[memory.ctypes.data + GUARD for memory in memories])
        getattr(self.machine_code, f"launch_{name}")(grid, block, int(self.barriers), seed, int(reverse), pointers)
        for memory, argument in zip(memories, arguments, strict=True):
            zones = memory[:GUARD], memory[GUARD + argument.nbytes :]
            if any((zone != pattern).any() for zone in zones):
                raise IndexError(f"{name} wrote outside of an array of shape {np.shape(argument)}")
        return [memory[GUARD : GUARD + argument.nbytes] for memory, argument in zip(memories, arguments, strict=True)]


class _Parameter:
    """One parameter of a kernel: `const REAL* x`, `int N`."""

    def __init__(self, text: str, defines: dict[str, str]) -> None:
        kind, self.name = re.fullmatch(r"\s*(.+?)\s*(\w+)", text).groups()  # type: ignore[union-attr]
        self.pointer, self.constant = kind.endswith("*"), kind.startswith("const ")
        plain = kind.removeprefix("const ").removesuffix("*").strip()
        self.type = defines.get(plain, plain)
        self.dtype = np.dtype(TYPES[self.type])

    def check(self, kernel: str, argument: Any) -> None:
        """A GPU would take the bytes for what it expects."""
        wanted = f"{kernel}: {self.name} must be {'an array' if self.pointer else 'a NumPy number'} of {self.dtype}"
        if isinstance(argument, np.ndarray) != self.pointer or not isinstance(argument, (np.ndarray, np.generic)):
            raise TypeError(f"{wanted}, got {type(argument).__name__}")
        if argument.dtype != self.dtype:
            raise TypeError(f"{wanted}, got {argument.dtype}")
        if isinstance(argument, np.ndarray) and not argument.flags.c_contiguous:
            raise ValueError(f"{kernel}: {self.name} is not contiguous; a kernel sees the address of its first number")

    @property
    def value(self) -> str:
        return f"({self.type}*)a[{{}}]" if self.pointer else f"*({self.type}*)a[{{}}]"


def _launcher(name: str, parameters: list[_Parameter]) -> str:
    values = ", ".join(parameter.value.format(i) for i, parameter in enumerate(parameters))
    return (
        f'extern "C" void launch_{name}(unsigned grid, unsigned block, int barriers, unsigned seed, int reverse, '
        "void** a)\n"
        f"{{\n    cuda_launch(grid, block, barriers, seed, reverse, [&] {{ {name}({values}); }});\n}}\n"
    )


def _accept(name: str, parameter: _Parameter, array: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
    """What both launches have written goes into the array."""
    if not np.array_equal(first, second):
        raise IndexError(f"{name}: {parameter.name} depends on memory outside of an array, or on the order of threads")
    if parameter.constant:
        if first.tobytes() != array.tobytes():
            raise ValueError(f"{name} wrote into {parameter.name}, which is const")
    elif array.size:
        array[...] = first.view(array.dtype).reshape(array.shape)


def _compiled(code: str, options: Sequence[str]) -> Path:
    """A library of that code; made once and kept."""
    key = hashlib.sha256("\0".join([code, HEADER.read_text(), *FLAGS, *options]).encode()).hexdigest()[:24]
    library = CACHE / f"{key}.so"
    if not library.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            source, made = Path(folder) / "kernels.cpp", Path(folder) / "kernels.so"
            source.write_text(code)
            run = subprocess.run(["g++", *FLAGS, *options, source, "-o", made], capture_output=True, text=True)
            if run.returncode:
                raise RuntimeError(f"g++ does not compile the kernels:\n{run.stderr}")
            made.replace(library)
    return library
