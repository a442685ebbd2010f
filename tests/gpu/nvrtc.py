"""Compiles every kernel of the cupy backend with NVRTC, which needs neither a GPU nor a driver; prints JSON.

A program of its own, as it needs the real package cupy, and tests may have put a stand-in in its place.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

from cupy.cuda import nvrtc

KERNELS = Path(__file__).parents[2] / "minigrad" / "backends" / "cupy"
OPTIONS = ("-ftz=true",)  # what CuPy adds of its own
ARCHITECTURES = (75, 80, 90)


def compile_source(code: str, options: tuple[str, ...], architecture: str) -> tuple[bytes, str]:
    """The machine code or PTX, and what the compiler said. Raises NVRTCError where it does not compile."""
    program = nvrtc.createProgram(code, "kernels.cu", [], [])
    try:
        try:
            nvrtc.compileProgram(program, (*OPTIONS, *options, f"-arch={architecture}"))
        except nvrtc.NVRTCError as error:
            raise SyntaxError(f"{error}: {nvrtc.getProgramLog(program)}") from None
        made = nvrtc.getCUBIN(program) if architecture.startswith("sm") else nvrtc.getPTX(program)
        return made, nvrtc.getProgramLog(program)
    finally:
        nvrtc.destroyProgram(program)


def double_arithmetic(ptx: str) -> list[str]:
    """The instructions on doubles, each with its kernel."""
    kernel, found = "", []
    for line in ptx.splitlines():
        entry = re.match(r"\.visible \.entry (\w+)", line)
        kernel = entry[1] if entry else kernel
        if ".f64" in line:
            found.append(f"{kernel}: {line.strip()}")
    return found


def results() -> list[dict[str, Any]]:
    found = []
    for path, real, index in itertools.product(sorted(KERNELS.glob("*.cu")), ("float", "double"), ("int", "long long")):
        options = (f"-DREAL={real}", f"-DINDEX={index}")
        for architecture in ARCHITECTURES:
            one = {"file": path.name, "REAL": real, "INDEX": index, "architecture": f"sm_{architecture}"}
            try:
                made, said = compile_source(path.read_text(), options, one["architecture"])
                found.append({**one, "bytes": len(made), "log": said})
            except SyntaxError as error:
                found.append({**one, "bytes": 0, "log": str(error)})
        if real == "float":
            ptx, _ = compile_source(path.read_text(), options, "compute_80")
            found[-1]["doubles"] = double_arithmetic(ptx.decode())
    return found


if __name__ == "__main__":
    print(json.dumps(results()))
