"""The registry of backends, the default, moving between them, and what is said where one cannot be used."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import types

import numpy as np
import pytest

import minigrad
from minigrad import BackendError, Tensor, backends
from minigrad.backends import get_backend


def python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_there_is_one_object_for_each_name() -> None:
    for name in minigrad.backend_names():
        assert get_backend(name) is get_backend(name)
        assert get_backend(get_backend(name)) is get_backend(name)
        assert get_backend(name).name == name
    assert repr(get_backend("numpy")) == "<backend numpy>"


@pytest.mark.parametrize("name", ["abacus", "", None, 3, ["numpy"]])
def test_an_unknown_backend_is_an_error_that_lists_the_known_ones(name) -> None:
    for call in (get_backend, minigrad.use_backend):
        with pytest.raises(BackendError, match=r"there is no backend named .*; there are 'numpy', 'numba'"):
            call(name)


def test_use_backend_in_a_with_sets_it_for_the_block(backend) -> None:
    before = minigrad.default_backend()
    with minigrad.use_backend(backend) as chosen:
        assert chosen is minigrad.default_backend() is get_backend(backend)
        assert Tensor(1.0).backend.name == backend
        with minigrad.use_backend("numpy"):
            assert Tensor(1.0).backend.name == "numpy"
        assert Tensor(1.0).backend.name == backend
    assert minigrad.default_backend() is before


def test_use_backend_comes_back_after_an_error() -> None:
    before = minigrad.default_backend()
    with pytest.raises(ZeroDivisionError), minigrad.use_backend("numpy"):
        raise ZeroDivisionError
    assert minigrad.default_backend() is before


def test_use_backend_as_a_call_sets_it_from_there_on() -> None:
    before = minigrad.default_backend()
    try:
        minigrad.use_backend("numpy")
        assert Tensor(1.0).backend.name == "numpy"
    finally:
        minigrad.use_backend(before)
    assert minigrad.default_backend() is before


def test_a_tensor_keeps_its_backend_and_gives_it_to_what_is_computed_from_it(backend) -> None:
    x = Tensor([1.0, 2.0], requires_grad=True, backend=backend)
    with minigrad.use_backend("numpy"):
        results = [
            x + 1,
            2.0 - x,
            x @ np.array([1.0, 2.0], np.float32),
            x.sum(),
            x > 1,
            x.argmax(),
            minigrad.where(x > 1, 1.0, 0.0),
            minigrad.where([True, False], x, 0.0),
            minigrad.cross_entropy(x.reshape(1, 2), [1]),
            minigrad.dropout(x),
            x[[0, 1]],
            x.detach(),
            x.to("float64"),
        ]
        assert {result.backend.name for result in results} == {backend}
        (results[0] * results[1]).sum().backward()
    assert x.grad.backend.name == backend


# -------------------------------------------------------------------------------------------------- moving between them


def test_to_the_same_backend_is_the_same_tensor(backend) -> None:
    x = Tensor([1.0], backend=backend)
    assert x.to(backend) is x
    assert x.to(get_backend(backend)) is x
    assert x.to("float32") is x


def test_gradients_flow_back_to_where_the_tensor_came_from(backend) -> None:
    x = Tensor([1.0, 2.0], requires_grad=True, backend="numpy")
    y = x.to(backend)
    assert y.backend.name == backend
    (slope,) = minigrad.grad((y * y * y).sum(), x, create_graph=True)
    assert slope.backend.name == "numpy"
    slope.sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]


# --------------------------------------------------------------------------------------------------- fresh interpreters


def test_the_environment_chooses_the_first_default(backend) -> None:
    code = "import minigrad; print(minigrad.default_backend().name)"
    assert python(code, MINIGRAD_BACKEND=backend) == backend


def test_an_unknown_name_in_the_environment_is_an_error() -> None:
    code = "\n".join(
        [
            "try: import minigrad",
            "except RuntimeError as error: print(error)",
        ]
    )
    assert "there is no backend named 'abacus'" in python(code, MINIGRAD_BACKEND="abacus")


WITHOUT_NUMBA = "import sys; sys.modules['numba'] = None; import minigrad; "


def test_without_numba_numpy_is_the_default() -> None:
    code = WITHOUT_NUMBA + "print(minigrad.default_backend().name, minigrad.randn(3).sigmoid().shape)"
    assert python(code, MINIGRAD_BACKEND="") == "numpy (3,)"


def test_without_numba_its_backend_says_in_one_sentence_how_to_get_it() -> None:
    code = (
        WITHOUT_NUMBA
        + """
try:
    minigrad.use_backend("numba")
except minigrad.BackendError as error:
    print(error)
print(minigrad.default_backend().name)"""
    )
    message, default = python(code, MINIGRAD_BACKEND="").splitlines()
    assert "the numba backend cannot be used" in message
    assert "pip install numba threadpoolctl" in message
    assert default == "numpy"


@pytest.mark.parametrize(("name", "package"), [("numpy", "numpy"), ("numba", "numba")])
def test_a_backend_whose_package_is_installed_can_be_used(name, package) -> None:
    """The tests run on the backends that can be used; here a broken one is found, instead of being left out."""
    pytest.importorskip(package)
    get_backend(name).check_usable()


def test_a_kernel_that_does_not_run_is_found_by_use_backend() -> None:
    broken = minigrad.backends.Backend("broken", arrays="numpy", install="nothing")

    class Kernels:
        @staticmethod
        def sigmoid(x):
            raise OSError("no such device")

    broken.__dict__["kernels"] = Kernels
    before = minigrad.default_backend()
    with pytest.raises(BackendError, match="the broken backend cannot run its kernels: no such device"):
        minigrad.use_backend(broken)
    assert minigrad.default_backend() is before


def test_numba_kernels_run_in_a_forked_child_with_the_same_bits() -> None:
    """numba's OpenMP threads do not survive a fork: with them, the child would be killed, and a pool wait forever."""
    pytest.importorskip("numba")
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    code = """if True:
        import os, numpy as np, minigrad as mg
        mg.use_backend("numba")
        x, w = (mg.tensor(np.linspace(-1, 1, n, dtype=np.float32).reshape(s), requires_grad=True)
                for n, s in ((2000, (5, 4, 10, 10)), (72, (2, 4, 3, 3))))
        def bits():
            gradients = mg.grad(mg.max_pool2d(mg.conv2d(x, w).sigmoid(), 2).sum(), [x, w])
            return b"".join(g.numpy().tobytes() for g in gradients)
        expected = bits()
        child = os.fork()
        if child == 0:
            os._exit(0 if bits() == expected else 3)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert (result.stdout, result.stderr) == ("0\n", "")


def test_matrix_products_of_numba_run_on_one_thread_and_give_the_others_back() -> None:
    """In a process of its own: another test may have loaded another BLAS since, PyTorch's for example."""
    pytest.importorskip("numba")
    code = """if True:
        import minigrad, threadpoolctl
        from minigrad.backends.numba.threads import one_blas_thread
        def threads():
            controller = threadpoolctl.ThreadpoolController().select(user_api="blas")
            return [library["num_threads"] for library in controller.info()]
        before = threads()
        with one_blas_thread, one_blas_thread:
            assert set(threads()) == {1}
        assert threads() == before
        try:
            with one_blas_thread:
                raise ZeroDivisionError
        except ZeroDivisionError:
            assert threads() == before
            print("done")
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert (result.stdout, result.stderr) == ("done\n", "")


def test_the_number_of_threads_is_set_for_all_that_computes() -> None:
    pytest.importorskip("numba")
    code = """if True:
        import minigrad, numba, threadpoolctl
        minigrad.use_backend("numba")
        minigrad.set_num_threads(1)
        minigrad.randn(9, 9).sigmoid()
        blas = threadpoolctl.ThreadpoolController().select(user_api="blas").info()
        print(minigrad.get_num_threads(), numba.get_num_threads(), {library["num_threads"] for library in blas})
        minigrad.set_num_threads(2)
        minigrad.randn(9, 9).sigmoid()
        print(minigrad.get_num_threads(), numba.get_num_threads())
    """
    assert python(code, NUMBA_NUM_THREADS="3").splitlines() == ["1 1 {1}", "2 2"]


def test_the_number_set_before_a_backend_is_used_counts_for_it_too() -> None:
    pytest.importorskip("numba")
    code = """if True:
        import minigrad, sys
        minigrad.use_backend("numpy")
        minigrad.set_num_threads(1)
        assert "numba" not in sys.modules
        minigrad.use_backend("numba")
        print(minigrad.get_num_threads())
    """
    assert python(code, NUMBA_NUM_THREADS="3", MINIGRAD_BACKEND="numpy") == "1"


@pytest.mark.parametrize(
    ("environment", "number"),
    [({"OMP_NUM_THREADS": "1"}, "1"), ({"OMP_NUM_THREADS": "2,1"}, "2"), ({"NUMBA_NUM_THREADS": "3"}, "3")],
)
def test_the_environment_says_how_many_threads_there_are(environment: dict[str, str], number: str) -> None:
    pytest.importorskip("numba")
    code = "import minigrad; minigrad.use_backend('numba'); print(minigrad.get_num_threads())"
    environment = {"NUMBA_NUM_THREADS": "", "OMP_NUM_THREADS": "", **environment}
    assert python(code, **{name: value for name, value in environment.items() if value}) == number


def test_more_threads_than_numba_has_started_with_are_an_error_that_changes_nothing() -> None:
    pytest.importorskip("numba")
    code = """if True:
        import minigrad, threadpoolctl
        minigrad.use_backend("numpy").__exit__(None, None, None)
        minigrad.use_backend("numba")
        before = [library["num_threads"] for library in threadpoolctl.threadpool_info()]
        try:
            minigrad.set_num_threads(9)
        except ValueError as error:
            print(error)
        print(before == [library["num_threads"] for library in threadpoolctl.threadpool_info()])
    """
    message = "set_num_threads: numba has started with 3 threads and takes no more, got 9; "
    advice = "set NUMBA_NUM_THREADS=9 in the environment before Python starts"
    assert python(code, NUMBA_NUM_THREADS="3").splitlines() == [message + advice, "True"]


STEP = """if True:
    import hashlib, numpy as np, minigrad as mg
    from minigrad import models, nn
    mg.use_backend("numba")
    mg.manual_seed(0)
    model = models.lenet5()
    images, labels = mg.rand(5, 1, 28, 28), mg.tensor([0, 1, 2, 3, 4])
    def step():
        model.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        return hashlib.sha256(b"".join(p.grad.numpy().tobytes() for p in model.parameters())).hexdigest()
"""


def test_a_training_step_has_the_same_bits_for_any_number_of_threads_and_each_time() -> None:
    pytest.importorskip("numba")
    counts = ("1", "2", "3", "8")
    printed = {python(STEP + "    print(step()); print(step())", NUMBA_NUM_THREADS=count) for count in counts}
    printed.add(python(STEP + "    print(step()); print(step())", OMP_THREAD_LIMIT="1"))  # fewer than are asked for
    (bits,) = printed
    assert len(set(bits.splitlines())) == 1


def test_kernels_run_in_several_python_threads_at_once_with_the_same_bits() -> None:
    """On numba's own pool of threads, the one that takes no two callers at once."""
    pytest.importorskip("numba")
    code = (
        STEP
        + """
    from concurrent.futures import ThreadPoolExecutor
    def forward(_):
        with mg.no_grad():
            return model(images).numpy().tobytes()
    alone = forward(0)
    with ThreadPoolExecutor(4) as pool:
        print(set(pool.map(forward, range(40))) == {alone})
    """
    )
    assert python(code, NUMBA_THREADING_LAYER="workqueue") == "True"


def test_kernels_run_in_a_pool_of_forked_processes_with_the_same_bits() -> None:
    pytest.importorskip("numba")
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    code = (
        STEP
        + """
    import multiprocessing
    alone = step()
    def work(_):
        return step()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(set(pool.map(work, range(4))) == {alone})
    """
    )
    assert python(code) == "True"


def test_a_kernel_that_was_compiled_beside_what_had_been_read_from_disk_is_read_itself(tmp_path) -> None:
    """numba forgets that threads have to be started for the code of such a kernel, which then ends the process."""
    pytest.importorskip("numba")
    code = """if True:
        import numpy as np
        from minigrad.backends.numba import relu, relu_grad
        x = np.linspace(-1, 1, 4000)
        print(np.array_equal({}, np.maximum(x, 0)))
    """
    for kernel in ("relu_grad(x, x)", "relu(x)", "relu(x)"):
        assert python(code.format(kernel), NUMBA_CACHE_DIR=str(tmp_path)) == "True"


def test_a_kernel_is_compiled_once_for_each_dtype_whatever_the_arguments_layout() -> None:
    pytest.importorskip("numba")
    code = """if True:
        import numpy as np
        from minigrad.backends import get_backend
        from minigrad.backends.numba import compiler
        kernels = get_backend("numba").kernels
        geometry = ((1, 1), (1, 1), (1, 1), 1)
        for dtype in (np.float32, np.float64):
            x = np.random.default_rng(0).standard_normal((16, 2, 5, 6)).astype(dtype)
            frozen = x.copy()
            frozen.setflags(write=False)
            layouts = (x, frozen, x[::-1], x.transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2), np.asfortranarray(x))
            for a in (*layouts, np.broadcast_to(x[:1], x.shape), np.broadcast_to(x[:1], (1, 1, *x.shape[1:]))[0]):
                weight = layouts[1][:2, :, :3, :3]
                y = kernels.conv2d(a, weight, weight[0, 0, 0, :2], *geometry)
                kernels.conv2d_grad_input(y, weight, (5, 6), *geometry)
                kernels.conv2d_grad_weight(y, a, (3, 3), *geometry)
                wide = np.tile(a, (1, 20, 1, 1))  # channels enough for a way of their own
                for channels in (wide, wide[:, ::-1]):
                    kernels.conv2d_grad_weight(channels, channels, (3, 3), *geometry)
                kernels.channel_norm(a, *kernels.channel_moments(a), *x[:2, :, 0, 0])
                kernels.channel_norm_grad(a, a[::-1], *x[:3, :, 0, 0])
                kernels.gather_images(a.astype(np.uint8), np.zeros(3, np.int64))
                window = ((2, 2), (2, 1), (1, 1))
                dy = kernels.avg_pool2d(a, *window, True)
                kernels.avg_pool2d_grad(dy, (5, 6), *window, True)
                dy, winners = kernels.max_pool2d(a, *window)
                kernels.max_pool2d_scatter(dy, winners, (5, 6), *window)
                kernels.max_pool2d_gather(a, winners, *window)
                tiles = ((10, 12), (2, 2), (2, 2), (0, 0))
                kernels.avg_pool2d_grad(a, *tiles, True)
                kernels.max_pool2d_scatter(a, np.zeros(a.shape, np.int32), *tiles)
                for kernel in (kernels.sigmoid, kernels.relu):
                    kernel(a)
                for kernel in (kernels.sigmoid_grad, kernels.relu_grad):
                    kernel(a, a[::-1])
                rows = np.tile(a.reshape(len(a), -1), 20)  # large enough for kernels of their own
                for matrix in (rows, np.asfortranarray(rows), rows[:, ::2], rows.T):
                    kernels.linear(matrix, matrix[:3], None)
                    kernels.matmul(matrix, matrix.T)
                    kernels.matmul(matrix.T, matrix)
                    kernels.linear_grad_weight(matrix, matrix)
                    labels = np.arange(len(matrix), dtype=np.int32) % min(matrix.shape[1], 2)
                    losses, probabilities = kernels.softmax_cross_entropy(matrix, labels)
                    kernels.softmax_cross_entropy_grad(losses, probabilities, labels)
        versions = {kernel.py_func.__name__: len(kernel.signatures) for kernel in compiler.KERNELS}
        print({name: number for name, number in versions.items() if number not in (1, 2)}, len(versions) > 8)
    """
    assert python(code) == "{} True"


# ------------------------------------------------------------------------------------- how many threads, asked of whom


class Kernels(types.SimpleNamespace):
    """Kernels that keep the number of threads they are told, and refuse more than `most`."""

    def __init__(self, most: int = 8) -> None:
        super().__init__(most=most, number=None)

    def set_num_threads(self, number: int) -> None:
        if number > self.most:
            raise ValueError("too many")
        self.number = number

    def get_num_threads(self) -> int | None:
        return self.number


def test_a_backend_that_knows_its_device_is_asked_before_a_kernel_runs() -> None:
    class Gpu:
        def check_device(self) -> None:
            raise RuntimeError("no GPU is visible")

    backend = backends.Backend("far", arrays="numpy", install="nothing")
    backend.__dict__["kernels"] = Gpu()
    with pytest.raises(BackendError, match="the far backend cannot run its kernels: no GPU is visible"):
        backend.check_usable()


@pytest.fixture
def registry(monkeypatch) -> dict[str, backends.Backend]:
    """Three backends, the first of them the default: with kernels, with some that refuse 3 threads, and unused yet."""
    registry = {
        name: backends.Backend(name, arrays="numpy", install="nothing") for name in ("first", "strict", "unused")
    }
    registry["first"].__dict__["kernels"], registry["strict"].__dict__["kernels"] = Kernels(), Kernels(most=2)
    monkeypatch.setattr(backends, "_REGISTRY", registry)
    monkeypatch.setattr(backends, "_default", registry["first"])
    monkeypatch.setattr(backends, "_num_threads", None)
    return registry


def test_all_backends_in_use_are_told_the_number_of_threads(registry) -> None:
    minigrad.set_num_threads(2)
    assert [registry[name].kernels.number for name in ("first", "strict")] == [2, 2]
    assert "kernels" not in vars(registry["unused"])
    assert minigrad.get_num_threads() == 2


def test_a_number_that_a_backend_refuses_changes_no_other(registry) -> None:
    minigrad.set_num_threads(1)
    with pytest.raises(ValueError, match="too many"):
        minigrad.set_num_threads(3)
    assert registry["first"].kernels.number == 1


def test_the_default_backend_is_told_though_it_has_not_been_used(registry, monkeypatch) -> None:
    monkeypatch.setattr(backends, "_default", registry["unused"])
    monkeypatch.setattr(backends.Backend, "kernels", Kernels())
    minigrad.set_num_threads(2)
    assert backends.Backend.kernels.number == 2


def test_a_backend_is_told_the_number_when_it_is_first_used(registry, monkeypatch) -> None:
    kernels = Kernels()
    monkeypatch.setattr(backends.importlib, "import_module", lambda name: kernels)
    assert registry["unused"].kernels.number is None
    minigrad.set_num_threads(2)
    late = backends.Backend("late", arrays="numpy", install="nothing")
    kernels.number = None
    assert late.kernels.number == 2


def test_where_there_is_nothing_to_tell_there_is_one_thread(registry) -> None:
    registry["first"].__dict__["kernels"] = types.SimpleNamespace()
    assert minigrad.get_num_threads() == 1


def test_copies_of_a_backend_are_the_backend_itself(backend) -> None:
    one = backends.get_backend(backend)
    assert copy.deepcopy(one) is copy.copy(one) is pickle.loads(pickle.dumps(one)) is one


@pytest.mark.parametrize(("numbers", "expected"), [([1, 4, 2], 4), ([], 1)])
def test_numpy_has_as_many_threads_as_its_libraries_at_most(monkeypatch, numbers: list[int], expected: int) -> None:
    threads = backends.get_backend("numpy").kernels.threads
    info = [{"num_threads": number} for number in numbers]
    monkeypatch.setattr(threads, "_threadpoolctl", lambda: types.SimpleNamespace(threadpool_info=lambda: info))
    assert threads.get_num_threads() == expected


def test_numpy_limits_the_threads_of_its_matrix_products(monkeypatch) -> None:
    threads, told = backends.get_backend("numpy").kernels.threads, []
    fake = types.SimpleNamespace(threadpool_limits=lambda number, user_api: told.append((number, user_api)))
    monkeypatch.setattr(threads, "_threadpoolctl", lambda: fake)
    threads.set_num_threads(3)
    assert told == [(3, "blas")]


def test_what_is_missing_is_named_with_the_way_to_get_it() -> None:
    nowhere = backends.Backend("nowhere", arrays="numpy", install="pip install somewhere")
    with pytest.raises(
        BackendError, match="the nowhere backend cannot be used: .* Install it with pip install somewhere"
    ):
        nowhere.check_usable()


@pytest.mark.parametrize(
    ("chosen", "installed", "expected"),
    [
        ("numpy", {"numba", "threadpoolctl"}, "numpy"),
        ("numba", set(), "numba"),
        ("", {"numba", "threadpoolctl"}, "numba"),
        ("", {"numba"}, "numpy"),
        (None, {"threadpoolctl"}, "numpy"),
        (None, {"numba", "threadpoolctl"}, "numba"),
    ],
)
def test_the_first_default_is_what_the_environment_says_or_what_is_installed(
    monkeypatch, chosen: str | None, installed: set[str], expected: str
) -> None:
    monkeypatch.delenv("MINIGRAD_BACKEND", raising=False)
    if chosen is not None:
        monkeypatch.setenv("MINIGRAD_BACKEND", chosen)
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda package: package in installed or None)
    assert backends._initial_backend().name == expected
