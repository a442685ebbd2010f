"""What all tests share: how many examples hypothesis draws, the --long switch, and the backends to run on.

`pytest` draws a few examples a test; `pytest --hypothesis-profile=long` draws 1,000, which takes a quarter of an hour.
"""

from __future__ import annotations

import os

import pytest
import stand_in
from host_compiler import why_not
from hypothesis import HealthCheck, settings

import minigrad
from minigrad.backends import get_backend

# How long an example takes says nothing about whether it is right, and a kernel is compiled at its first call.
UNTIMED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", max_examples=8, database=None, print_blob=True, **UNTIMED)
settings.register_profile("long", max_examples=1000, print_blob=True, **UNTIMED)


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the tests that take minutes, too")


def pytest_configure(config):
    settings.load_profile(config.getoption("--hypothesis-profile") or "ci")


@pytest.hookimpl(tryfirst=True)  # before -m chooses among the marks
def pytest_collection_modifyitems(config, items):
    for item in filter(on_gpu, items):
        item.add_marker(pytest.mark.gpu)
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes minutes; runs with --long"))


@pytest.fixture(autouse=True, scope="session")
def kernels_get_what_they_are_compiled_for():
    """Each call of a numba kernel compares the type of each argument: as numba does, and minigrad's calls do not."""
    try:
        import numba

        from minigrad.backends.numba import compiler
    except ImportError:
        yield
        return
    version_for = compiler._version

    def checked_version(kernel, run, arguments):
        code, addresses = version_for(kernel, run, arguments)
        expected = [numba.typeof(argument) for argument in arguments]

        def checked_code(addresses, parts, tasks, arguments):
            assert [numba.typeof(argument) for argument in arguments] == expected, kernel
            code(addresses, parts, tasks, arguments)

        return checked_code, addresses

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "_version", checked_version)
        yield


def on_gpu(item) -> bool:
    """Whether it uses the cupy backend, and that is no stand-in: `pytest -m gpu` runs these, and test_gpu_device.py."""
    if ON_STAND_IN or "cupy" in UNUSABLE:
        return False
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return parameters.get("backend") == "cupy" or "backends" in getattr(item, "fixturenames", ())


def gpu_is_visible() -> bool:
    """Whether CuPy is installed and sees a GPU."""
    try:
        import cupy

        return cupy.cuda.runtime.getDeviceCount() > 0
    except Exception:  # ImportError, or whatever CuPy raises where a driver or a library is missing
        return False


# Without a GPU the cupy backend runs over gpu/stand_in.py, its kernels on the processor; $MINIGRAD_STAND_IN=0 says no.
ON_STAND_IN = os.environ.get("MINIGRAD_STAND_IN") != "0" and why_not() is None and not gpu_is_visible()
if ON_STAND_IN:
    stand_in.install()  # before anything imports the backend


def why_unusable(name: str) -> str | None:
    try:
        get_backend(name).check_usable()
    except minigrad.BackendError as error:
        return str(error)
    return None


UNUSABLE = {name: reason for name in minigrad.backend_names() if (reason := why_unusable(name))}
USABLE = [name for name in minigrad.backend_names() if name not in UNUSABLE]


def pytest_report_header():
    over = " (cupy over a stand-in)" if ON_STAND_IN else ""
    return [f"minigrad backends: {', '.join(USABLE)}{over}", *(f"not tested: {reason}" for reason in UNUSABLE.values())]


@pytest.fixture(scope="session", params=USABLE)
def backend(request) -> str:
    """The name of each backend in turn that can be used on this machine; the report's header says which cannot."""
    return request.param


@pytest.fixture(scope="session")
def backends() -> list[str]:
    """All of them at once."""
    return USABLE


@pytest.fixture
def on_backend(backend):
    """Each backend in turn as the one that new tensors get."""
    with minigrad.use_backend(backend):
        yield backend
