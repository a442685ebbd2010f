"""Compiles CUDA C with g++ into a library, which is kept on disk, and calls the kernels in it through ctypes."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HEADER = Path(__file__).with_name("cuda_host.h")
LANGUAGE = ("-std=c++17", "-fPIC", "-shared", "-Wdouble-promotion", "-Werror")  # doubles are slow on most GPUs
LANGUAGE += ("-Wuninitialized", "-Wmaybe-uninitialized")
LANGUAGE += ("-U_FORTIFY_SOURCE",)  # fortified, longjmp to another stack is an error
LANGUAGE += ("-fstack-clash-protection",)  # no array of a thread's own is so large that it skips the end of the stack
# Where an int overflows, a divisor is 0 or an index lies outside an array of fixed size, an illegal instruction is put,
# and a separate one for each such place, so that its line can be named.
TRAPS = ("-fsanitize=signed-integer-overflow,integer-divide-by-zero,shift,bounds", "-fsanitize-undefined-trap-on-error")
TRAPS += ("-fno-crossjumping", "-fno-tree-tail-merge")
# With MINIGRAD_CUDA_DEBUG=1 a debugger stops at every line and knows every variable.
FLAGS = ("-O0" if os.environ.get("MINIGRAD_CUDA_DEBUG") == "1" else "-O2", "-g", "-Wl,-z,defs", *TRAPS)

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(\w+)\s*\(([^)]*)\)')

# What g++ says, and what it cannot know.
HINTS = {
    "double-promotion": "0.5 is a double and 0.5f a float; in code for both, write (REAL)0.5",
    r"call to '(min|max)": "min and max take two numbers of one type: max(x, 0.0f), max((int)threadIdx.x, 1)",
    "conflicting specifiers": "extern __shared__ is left out here: declare a __shared__ array with its size",
    r"'atomic\w+' was not": "of the atomics there are atomicAdd, atomicMin and atomicMax here",
    r"'__(shfl|syncwarp|ballot|any|all|activemask|reduce)\w*' was not": (
        "the functions of warps are left out here: use __shared__ memory and __syncthreads()"
    ),
    r"undefined reference to .__\w+f'": "the quick functions, __expf and others, are left out here: use expf",
    r"cuda\w*\.h: No such file": "no file has to be included for CUDA's words",
}

# The most that CUDA takes, for x, y and z.
GRID_LIMITS = (2**31 - 1, 65535, 65535)
BLOCK_LIMITS = (1024, 1024, 64)
BLOCK_THREADS = 1024


def why_not() -> str | None:
    """Why CUDA C cannot be compiled for the processor here, or None where it can."""
    there = sys.platform == "linux" and shutil.which("g++")
    return None if there else "needs Linux and g++, to compile CUDA C for the processor"


class Parameter(NamedTuple):
    name: str
    kind: str  # r: a const pointer, w: a pointer, v: a value
    dtype: np.dtype

    def __str__(self) -> str:
        return {"r": "a constant array of {}", "w": "an array of {}", "v": "np.{}"}[self.kind].format(self.dtype)


class Outcome(ctypes.Structure):
    """As in cuda_host.h."""

    _fields_ = (
        ("problem", ctypes.c_int),
        ("signal", ctypes.c_int),
        ("line", ctypes.c_int),
        ("other_line", ctypes.c_int),
        ("block", ctypes.c_uint * 3),
        ("thread", ctypes.c_uint * 3),
        ("address", ctypes.c_void_p),
        ("place", ctypes.c_size_t),
    )


class Kernel:
    """A compiled kernel: what it takes, and a way to run it on arrays where they lie."""

    def __init__(self, library: ctypes.CDLL, name: str, parameter_names: list[str]) -> None:
        describe = getattr(library, f"signature_{name}")
        describe.restype = ctypes.c_char_p
        codes = re.findall("([rwv])(..)", describe().decode())
        self.name = name
        self.machine_code = library
        self.parameters = [
            Parameter(parameter, kind, np.dtype(code))
            for parameter, (kind, code) in zip(parameter_names, codes, strict=True)
        ]
        self._launch = getattr(library, f"launch_{name}")
        self._launch.restype = None
        self._launch.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p]

    def check(self, args: Sequence[Any]) -> None:
        """Raise an error unless the arguments are what the kernel declares; a GPU takes their bytes as they are."""
        names = ", ".join(parameter.name for parameter in self.parameters)
        if not isinstance(args, (tuple, list)):
            raise TypeError(f"{self.name}: the arguments must be a tuple ({names},), got {type(args).__name__}")
        if len(args) != len(self.parameters):
            raise TypeError(f"{self.name} takes {len(self.parameters)} arguments ({names}), got {len(args)}")
        for i, (parameter, value) in enumerate(zip(self.parameters, args, strict=True)):
            self._check_argument(f"{self.name}: argument {i} ({parameter.name})", parameter, value)

    def _check_argument(self, what: str, parameter: Parameter, value: Any) -> None:
        number = parameter.kind == "v"
        if number and isinstance(value, (int, float)) and not isinstance(value, np.generic):
            raise TypeError(
                f"{what} is the Python {type(value).__name__} {value}, which CuPy passes as eight bytes; "
                f"write np.{parameter.dtype}({value})"
            )
        if not isinstance(value, np.generic if number else np.ndarray):
            raise TypeError(f"{what} must be {parameter}, got {type(value).__name__}")
        if value.dtype != parameter.dtype:
            raise TypeError(f"{what} must be {parameter}, got {'np.' if number else 'an array of '}{value.dtype}")
        if isinstance(value, np.ndarray) and not value.flags.c_contiguous:
            raise ValueError(f"{what} has strides {value.strides} for shape {value.shape}; pass a contiguous copy")
        if parameter.kind == "w" and not value.flags.writeable:
            raise ValueError(f"{what} is written to, and got a read-only array")

    def run(self, shape: np.ndarray, values: Sequence[Any], seed: int) -> Outcome:
        """Launch on arguments that are NumPy's numbers, or the addresses of arrays.

        Args:
            shape: the six numbers of `launch_shape`.
            values: numbers for values, addresses for pointers.
            seed: decides the order of blocks and threads.
        """
        slots = np.zeros(len(values), np.uint64)  # eight bytes each, of which a value may need fewer
        for i, value in enumerate(values):
            if isinstance(value, np.generic):
                slots[i : i + 1].view(value.dtype)[0] = value
            else:
                slots[i] = value
        pointers = slots.ctypes.data + 8 * np.arange(len(values), dtype=np.uint64)
        outcome = Outcome()
        self._launch(pointers.ctypes.data, shape.ctypes.data, seed, ctypes.byref(outcome))
        return outcome

    def line_of(self, place: int) -> int | None:
        """The line of the code that the instruction at this place in the library belongs to, where that is known."""
        if not shutil.which("addr2line"):  # of binutils, which brings g++'s assembler too
            return None
        command = ["addr2line", "--inlines", "--exe", self.machine_code._name, hex(place)]
        found = re.search(r"kernels\.cu:(\d+)", subprocess.run(command, capture_output=True, text=True).stdout)
        return int(found[1]) if found else None


def launch_shape(name: str, grid: Sequence[int], block: Sequence[int]) -> np.ndarray:
    """Grid and block as six numbers, checked against CUDA's limits."""
    sides: list[int] = []
    for what, given, limits in [("grid", grid, GRID_LIMITS), ("block", block, BLOCK_LIMITS)]:
        numbers = isinstance(given, tuple) and all(isinstance(side, (int, np.integer)) for side in given)
        if not numbers or not 1 <= len(given) <= 3:
            raise TypeError(f"{name}: the {what} must be a tuple of one to three whole numbers, got {given!r}")
        full = (*given, 1, 1)[:3]
        if any(not 1 <= size <= limit for size, limit in zip(full, limits, strict=True)):
            raise ValueError(f"{name}: the sides of the {what} must be from 1 to {limits}, got {given}")
        sides.extend(full)
    if sides[3] * sides[4] * sides[5] > BLOCK_THREADS:
        raise ValueError(f"{name}: a block has at most {BLOCK_THREADS} threads, got {block}")
    return np.array(sides, np.uint32)


@cache
def compiled(code: str, options: tuple[str, ...], flags: tuple[str, ...] | None = None) -> dict[str, Kernel]:
    """The kernels in the code, by name.

    Args:
        code: CUDA C; kernels are `extern "C" __global__ void`.
        options: definitions such as "-DREAL=float".
        flags: how g++ compiles, FLAGS if it is not said.

    Raises:
        ValueError: for options that are no definitions, for code that does not compile.
    """
    for option in options:
        if not option.startswith("-D"):
            raise ValueError(f"compiles with definitions such as -DREAL=float only, got the option {option}")
    signatures = dict(KERNEL.findall(COMMENT.sub("", code)))
    library = _library(code, tuple(signatures), (*LANGUAGE, *(flags or FLAGS), *options))
    return {
        name: Kernel(library, name, re.findall(r"(\w+)\s*(?:\[\w*\]\s*)?(?:,|$)", parameters))
        for name, parameters in signatures.items()
    }


def _library(code: str, names: tuple[str, ...], flags: tuple[str, ...]) -> ctypes.CDLL:
    """The compiled code, from the cache where it is there."""
    exports = "".join(f"CUDA_HOST_KERNEL({name})\n" for name in names)
    source = f'#include "cuda_host.h"\n#line 1 "kernels.cu"\n{code}\n{exports}'
    text = "\0".join([source, HEADER.read_text(), _compiler(), *flags])
    folder = _cache_folder() / hashlib.sha256(text.encode()).hexdigest()[:32]
    path = folder / "kernels.so"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as build:
            new = Path(build, "new.so")
            command = ["g++", *flags, "-I", str(HEADER.parent), "-x", "c++", "-", "-o", str(new)]
            environment = {**os.environ, "LC_ALL": "C"}  # messages in English, in which the hints are found
            result = subprocess.run(command, input=source, capture_output=True, text=True, cwd=folder, env=environment)
            if result.returncode:
                hints = [f"({hint})" for said, hint in HINTS.items() if re.search(said, result.stderr)]
                raise ValueError("\n".join(["the kernels do not compile:", result.stderr[:4000].strip(), *hints]))
            Path(folder, "kernels.cu").write_text(code)  # where a debugger looks for it
            os.replace(new, path)  # at once, so that nobody loads half a library
    return ctypes.CDLL(str(path))


@cache
def _compiler() -> str:
    """Version and machine of g++: its libraries are of no use to another."""
    return subprocess.run(["g++", "-v"], capture_output=True, text=True, check=True).stderr


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "minigrad", "host_cuda")
