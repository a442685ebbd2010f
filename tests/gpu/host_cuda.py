"""CUDA C on NumPy arrays, without a GPU: `HostModule(code).get_function(name)(grid, block, args)`.

A GPU forgives nothing and tells nothing. Here the same launch is an error that names the argument, or the thread and
the line of the code,

- where the arguments are not what the kernel declares,
- where it reads or writes outside an array, or writes into a constant one,
- where an int overflows, a divisor is 0, or an index leaves a __shared__ array,
- where some threads of a block wait at a barrier and others do not,
- where the result depends on the order of blocks and threads: a race, a barrier that is missing, or shared memory that
  nobody has written to.

For the last of these a launch is run twice, in two orders, and both must give the same to the bit. Races that two
orders do not show are found by races.py.

docs/cuda.md shows how to use it, with printf and with a debugger too.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy as np
from guarded_memory import LIBC, GuardedMemory
from host_compiler import Kernel, Outcome, compiled, launch_shape

seed = 0  # decides the orders in which blocks and threads run; a launch takes the same ones every time

_rooms: dict[int, GuardedMemory] = defaultdict(
    GuardedMemory
)  # by the position of an argument, kept for the next launch
_lock = Lock()  # the rooms, and the fibers of a kernel, serve one launch at a time

UNEQUAL_BARRIERS, STACK_OVERFLOW = 2, 3  # as in cuda_host.h


class KernelError(RuntimeError):
    """A kernel does what would go wrong on a GPU."""


class HostModule:
    """Kernels compiled for the processor; takes what cupy.RawModule takes.

    Args:
        code: CUDA C.
        options: definitions such as "-DREAL=float".

    Raises:
        ValueError: for code that does not compile, and for other options.
    """

    def __init__(self, code: str, options: Sequence[str] = ()) -> None:
        self._kernels = compiled(code, tuple(options))

    def get_function(self, name: str) -> Callable[..., None]:
        """The kernel of that name, called as `function(grid, block, args)`.

        The arguments are C-contiguous arrays and NumPy's numbers. Nothing is converted.
        """
        if name not in self._kernels:
            known = ", ".join(self._kernels) or "none"
            raise ValueError(f'no kernel {name} is declared extern "C" __global__ void; there is: {known}')
        kernel = self._kernels[name]

        def function(grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[Any], shared_mem: int = 0) -> None:
            if shared_mem:
                raise ValueError(f"{name}: declare a __shared__ array with its size instead of shared_mem={shared_mem}")
            shape = launch_shape(name, grid, block)
            kernel.check(args)
            with _lock:
                _Launch(kernel, shape, args).run()

        return function


class _Launch:
    """One launch: its arrays, each in guarded memory of its own."""

    def __init__(self, kernel: Kernel, shape: np.ndarray, args: Sequence[Any]) -> None:
        self.kernel = kernel
        self.shape = shape
        self.args = args
        self.arrays = {i: value for i, value in enumerate(args) if isinstance(value, np.ndarray)}
        self.rooms = self._find_rooms()
        written = {id(self.rooms[i]) for i in self.arrays if kernel.parameters[i].kind == "w"}
        self.written = [i for i in self.arrays if id(self.rooms[i]) in written]
        self.constant = [i for i in self.arrays if id(self.rooms[i]) not in written]

    def run(self) -> None:
        sys.stdout.flush()  # what the kernel prints comes behind what is printed already
        # Behind the arrays is looked first, as that is where most mistakes lead.
        self._run_once(at_end=True)
        first = {i: ctypes.string_at(self._address(i, True), self.arrays[i].nbytes) for i in self.written}
        self._run_once(at_end=False)
        for i in self.written:
            if LIBC.memcmp(first[i], self._address(i, False), len(first[i])):
                raise KernelError(self._describe_difference(i, first[i]))
        for i in self.written:
            ctypes.memmove(self.arrays[i].ctypes.data, self._address(i, False), self.arrays[i].nbytes)

    def _find_rooms(self) -> dict[int, GuardedMemory]:
        """A room for each array; an array that is passed twice has one room."""
        rooms: dict[int, GuardedMemory] = {}
        for i, array in self.arrays.items():
            start, end = array.ctypes.data, array.ctypes.data + array.nbytes
            for j in list(rooms):
                other = self.arrays[j]
                if (start, array.nbytes) == (other.ctypes.data, other.nbytes):
                    rooms[i] = rooms[j]
                elif start < other.ctypes.data + other.nbytes and other.ctypes.data < end:
                    raise ValueError(f"{self.kernel.name}: arguments {j} and {i} overlap, and are not the same array")
            if i not in rooms:
                rooms[i] = _rooms[i]
                rooms[i].reserve(array.nbytes)
        return rooms

    def _address(self, i: int, at_end: bool) -> int:
        return self.rooms[i].address(self.arrays[i].nbytes, at_end)

    def _run_once(self, at_end: bool) -> None:
        for i, array in self.arrays.items():
            ctypes.memmove(self._address(i, at_end), array.ctypes.data, array.nbytes)
        values = [self._address(i, at_end) if i in self.arrays else value for i, value in enumerate(self.args)]
        outcome = self.kernel.run(self.shape, values, 2 * seed + at_end)
        if outcome.problem:
            error = KeyboardInterrupt if outcome.signal == signal.SIGINT else KernelError
            raise error(self._describe(outcome, at_end))
        for i in self.constant:
            if LIBC.memcmp(self.arrays[i].ctypes.data, self._address(i, at_end), self.arrays[i].nbytes):
                raise KernelError(f"{self._argument(i)} is constant, and was written to")

    # ------------------------------------------------------------------------------------------ what to tell the reader

    def _argument(self, i: int) -> str:
        return f"{self.kernel.name}: argument {i} ({self.kernel.parameters[i].name})"

    def _describe(self, outcome: Outcome, at_end: bool) -> str:
        block = f"block {tuple(outcome.block)}"
        if outcome.problem == UNEQUAL_BARRIERS:
            others = f"others in line {outcome.other_line}" if outcome.other_line else "others have come to their end"
            return (
                f"{self.kernel.name}: some threads of {block} wait at __syncthreads() in line {outcome.line}, "
                f"{others}: all must come to the same barriers"
            )
        line = self.kernel.line_of(outcome.place)
        thread = f"{f'in line {line} ' if line else ''}thread {tuple(outcome.thread)} of {block}"
        if outcome.problem == STACK_OVERFLOW:
            return (
                f"{self.kernel.name}: {thread} needs more than 256 KB of memory for variables of its own: "
                "a large array, or functions that call each other without end"
            )
        if outcome.signal == signal.SIGINT:
            return f"{self.kernel.name}: {thread} was interrupted; does it wait for another one, in a loop?"
        if outcome.signal not in (signal.SIGSEGV, signal.SIGBUS):
            return (
                f"{self.kernel.name}: {thread} let an int overflow, divided by 0, used an index outside an array of "
                "fixed size, or shifted a number by more bits than it has"
            )
        for i, array in self.arrays.items():
            element = ((outcome.address or 0) - self._address(i, at_end)) // array.itemsize
            if outcome.address and self.rooms[i].holds(outcome.address):
                return f"{self._argument(i)} has {array.size} elements, and {thread} reads or writes element {element}"
            if outcome.address and 0 <= (below := 2**32 - element) < 2**20:
                return (
                    f"{self._argument(i)}: {thread} reads or writes element {element}, which is {-below} as an "
                    "unsigned int; threadIdx and blockIdx are unsigned, so subtract from them in int"
                )
        return f"{self.kernel.name}: {thread} reads or writes far outside its arrays"

    def _describe_difference(self, i: int, first: bytes) -> str:
        second = ctypes.string_at(self._address(i, False), len(first))
        bits = [np.frombuffer(result, f"V{self.arrays[i].itemsize}") for result in (first, second)]
        element = int(np.argmax(bits[0] != bits[1]))
        values = [np.frombuffer(result, self.arrays[i].dtype)[element] for result in (first, second)]
        return (
            f"{self._argument(i)}: element {element} became {values[0]} in one order of threads, {values[1]} in another"
            ": a race, a missing __syncthreads(), __shared__ memory that nobody has written to, "
            "or an atomicAdd of floats"
        )
