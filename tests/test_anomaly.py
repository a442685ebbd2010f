"""detect_anomaly: which operation, which line and which elements it names, and that it leaves nothing behind."""

from __future__ import annotations

import gc
import math
import os
import pickle
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

import minigrad
from minigrad import AnomalyError, Function, Tensor, detect_anomaly, nn
from minigrad.autograd import function

pytestmark = pytest.mark.usefixtures("on_backend", "files_in_a_folder_of_their_own", "nothing_left_behind")


@pytest.fixture
def files_in_a_folder_of_their_own(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def nothing_left_behind(tmp_path) -> Iterator[None]:
    errors = np.geterr()
    yield
    assert function.observer is None
    assert np.geterr() == errors
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


@pytest.fixture(params=["float32", "float64"])
def dtype(request) -> str:
    return request.param


def leaf(*values: float, dtype: str = "float32") -> Tensor:
    return Tensor(list(values), dtype, requires_grad=True)


def check(error: AnomalyError, operation: str, phase: str, source: str) -> str:
    """Compares what every error has, and returns its message."""
    assert (error.operation, error.phase) == (operation, phase)
    assert error.location.file == __file__
    assert error.location.source == source
    assert str(error).startswith(f"{operation}: ")
    if error.path is not None:
        assert os.path.isfile(error.path)
        assert error.path in str(error)
    return str(error)


# ------------------------------------------------------------------------------------------------------------- forward


@pytest.mark.parametrize("requires_grad", [True, False])
def test_log_of_a_negative_number(dtype, requires_grad) -> None:
    x = Tensor([[1.0, -1.0], [0.0, 4.0]], dtype, requires_grad=requires_grad)
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        y = minigrad.log(x)
        y.sum()
    message = check(caught.value, "log", "forward", "y = minigrad.log(x)")
    assert "its result holds the first value that is not finite" in message
    assert f"input 0       (2, 2) {dtype}: min -1, max 4, mean 1; 1 zero\n" in message
    assert f"output 0      (2, 2) {dtype}: min 0, max 1.38629, mean 0.693147; 1 NaN, 1 -inf, 1 zero\n" in message
    assert "output 0[0, 1] = nan, where input 0 is -1.0\n" in message
    assert "output 0[1, 0] = -inf, where input 0 is 0.0\n" in message


def test_zero_by_zero_with_broadcasting(dtype) -> None:
    a, b = Tensor([[0.0], [1.0]], dtype), Tensor([2.0, 0.0, 5.0], dtype)
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        a / b
    message = check(caught.value, "div", "forward", "a / b")
    assert "output 0[0, 1] = nan, where input 0 is 0.0, input 1 is 0.0\n" in message
    assert "output 0[1, 1] = inf, where input 0 is 1.0, input 1 is 0.0\n" in message


def test_an_overflow(dtype) -> None:
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        minigrad.exp(Tensor(1000.0, dtype))
    message = check(caught.value, "exp", "forward", "minigrad.exp(Tensor(1000.0, dtype))")
    assert "output 0 = inf, where input 0 is 1000.0\n" in message


def test_the_largest_elements_are_shown_where_places_do_not_correspond() -> None:
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        Tensor([1.0, 3e38, -2.0, 2e38]).sum(axis=0, keepdims=True)
    message = str(caught.value)
    assert "parameters    axis=(0,), keepdims=True\n" in message
    assert "largest of input 0: [1] = 3e+38, [3] = 2e+38, [2] = -2.0\n" in message


def test_a_line_that_cannot_be_read_is_named_by_its_number() -> None:
    with pytest.raises(AnomalyError, match=r"called at +nowhere\.py:2\n"), detect_anomaly():
        exec(compile("\nminigrad.log(minigrad.zeros())", "nowhere.py", "exec"), {"minigrad": minigrad})


def test_a_value_that_the_user_gave_is_called_so() -> None:
    x = Tensor([1.0, math.nan, 3.0])
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        Tensor([1.0, 2.0, 3.0]) * x
    message = check(caught.value, "mul", "forward", "Tensor([1.0, 2.0, 3.0]) * x")
    assert "mul: input 1 already held a value that is not finite when it was called" in message
    assert "  input 1[1] = nan\n" in message


def test_a_value_given_is_found_where_the_result_hides_it() -> None:
    with pytest.raises(AnomalyError, match="where: input 2 already held"), detect_anomaly():
        minigrad.where(Tensor([True]), Tensor([1.0]), Tensor([math.inf]))


def test_the_line_is_the_users_with_modules_in_between() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(2, 3), nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            x = self.body(x)
            return minigrad.log(x - 100.0)

    net = Net()
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        net(minigrad.ones(1, 2))
    check(caught.value, "log", "forward", "return minigrad.log(x - 100.0)")

    weight = net.body[0].weight
    weight.data = weight.data * np.float32(math.inf)
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        net(minigrad.ones(1, 2))
    message = check(caught.value, "linear", "forward", "x = self.body(x)")
    assert "input 1 already held" in message


def test_within_no_grad_as_a_context_and_as_a_decorator() -> None:
    @minigrad.no_grad()
    def evaluate() -> Tensor:
        return minigrad.log(Tensor(0.0))

    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        evaluate()
    check(caught.value, "log", "forward", "return minigrad.log(Tensor(0.0))")
    with pytest.raises(AnomalyError), detect_anomaly(), minigrad.no_grad():
        minigrad.log(Tensor(0.0))


def test_what_no_grad_decorates_is_no_line_of_the_users() -> None:
    model, batches = nn.Sequential(nn.Linear(1, 2)), [(Tensor([[math.nan]]), Tensor([1]))]
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        minigrad.train.predict(model, batches)
    check(caught.value, "linear", "forward", "minigrad.train.predict(model, batches)")


def test_integers_and_booleans_pass() -> None:
    with detect_anomaly():
        x = Tensor([1, 2]) + Tensor([3, 4])
        assert (x > 4).tolist() == [False, True]
        minigrad.cross_entropy(Tensor([[0.0, 1.0]]), Tensor([1]))
        Tensor(np.zeros((0, 3))).sum()


def test_infinite_values_pass_where_they_are_allowed() -> None:
    x = leaf(1.0, -math.inf)
    with detect_anomaly(allow_infinite=True):
        y = minigrad.softmax(x, 0)
        y.sum().backward()
        assert y.tolist() == [1.0, 0.0]
        with pytest.raises(AnomalyError, match="sub: its result holds the first value that is NaN"):
            x - x


# ------------------------------------------------------------------------------------------------------------ backward


def test_a_gradient_of_a_finite_value_that_is_infinite(dtype) -> None:
    x = leaf(4.0, 0.0, dtype=dtype)
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        y = minigrad.sqrt(x)
        loss = y.sum()
        loss.backward()
    message = check(caught.value, "sqrt", "backward", "y = minigrad.sqrt(x)")
    assert caught.value.backward_location.source == "loss.backward()"
    assert "sqrt: its backward rule gave the first gradient that is not finite\n" in message
    assert "div was the first with such a result, at " in message
    assert "elementwise.py" in message
    assert f"grad_output 0 (2,) {dtype}: min 1, max 1, mean 1\n" in message
    assert "grad_input 0[1] = inf, where input 0 is 0.0, output 0 is 0.0, grad_output 0 is 1.0\n" in message
    assert x.grad is None


def test_grad_and_steps_are_watched_like_backward() -> None:
    with detect_anomaly():
        x = leaf(0.0)
        with pytest.raises(AnomalyError, match="sqrt: its backward rule"):
            minigrad.grad(minigrad.sqrt(x), x)
        with pytest.raises(AnomalyError, match="sqrt: its backward rule"):
            list(minigrad.sqrt(x).backward_steps())


class NanInItsRule(Function):
    def forward(self, x):
        return x * 2

    def backward(self, dy):
        bad = dy * 0 / (dy * 0)
        return (bad,)


def test_a_users_operation_is_named_with_the_line_that_applied_it() -> None:
    x = leaf(1.0)
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        y = NanInItsRule.apply(x)
        y.backward()
    message = check(caught.value, "NanInItsRule", "backward", "y = NanInItsRule.apply(x)")
    assert "div was the first with such a result, at " in message
    assert ": bad = dy * 0 / (dy * 0)\n" in message


class FiniteInTheEnd(NanInItsRule):
    def backward(self, dy):
        return (minigrad.where(dy > 0, 1.0, dy / 0.0),)


def test_what_a_rule_returns_counts_and_not_what_it_goes_through() -> None:
    x = leaf(1.0)
    with detect_anomaly():
        FiniteInTheEnd.apply(x).backward()
    assert x.grad.tolist() == [1.0]


def test_a_gradient_that_was_given_is_called_so() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        y = x * 2.0
        y.backward(Tensor([1.0, math.nan]))
    message = check(caught.value, "mul", "backward", "y = x * 2.0")
    assert "grad_output 0 already held a value that is not finite before its backward rule ran; it was given" in message
    assert "grad_output 0[1] = nan\n" in message


def check_leaf(error: AnomalyError, source: str) -> None:
    assert str(error).startswith("backward: the gradient of a leaf holds a value that is not finite; it was given to")
    assert "  gradient      (2,) float32: min 1, max 1, mean 1; 1 NaN\n  gradient[0] = nan" in str(error)
    assert (error.operation, error.node, error.phase) == ("backward", None, "backward")
    assert (error.location, error.path, error.backward_location.source) == (None, None, source)


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_value_that_the_hook_of_a_leaf_returned(create_graph) -> None:
    x = leaf(1.0, 2.0)
    x.register_hook(lambda gradient: Tensor([math.nan, 1.0]))
    with detect_anomaly():
        with pytest.raises(AnomalyError) as caught:
            (x * 2.0).sum().backward(create_graph=create_graph)
        check_leaf(caught.value, "(x * 2.0).sum().backward(create_graph=create_graph)")
        with pytest.raises(AnomalyError) as caught:
            minigrad.grad((x * 2.0).sum(), x)
        check_leaf(caught.value, "minigrad.grad((x * 2.0).sum(), x)")
    assert x.grad is None


def test_a_gradient_given_to_a_leaf() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        x.backward(Tensor([math.nan, 1.0]))
    check_leaf(caught.value, "x.backward(Tensor([math.nan, 1.0]))")
    assert x.grad is None
    with detect_anomaly(allow_infinite=True):
        x.backward(Tensor([math.inf, 1.0]))
    assert x.grad.tolist() == [math.inf, 1.0]


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_that_overflow_when_they_are_added_up(create_graph) -> None:
    x = leaf(1.0)
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        y = x * 1.0 + x * 1.0
        y.backward(Tensor([2.5e38]), create_graph=create_graph)
    check(caught.value, "add", "backward", "y.backward(Tensor([2.5e38]), create_graph=create_graph)")
    assert ", where gradients are added up: y.backward(" in str(caught.value)
    assert caught.value.backward_location == caught.value.location._replace(during="")


def test_gradients_that_overflow_in_grad() -> None:
    x = leaf(1.0)
    with detect_anomaly():
        (x * 3e38).backward()
        with pytest.raises(AnomalyError, match="where gradients are added up"):
            (x * 3e38).backward()


def test_second_derivatives_name_the_rule_that_they_differentiate() -> None:
    x = leaf(0.0)
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        y = x**1.5
        (slope,) = minigrad.grad(y, x, create_graph=True)
        slope.backward()
    assert caught.value.phase == "backward"
    assert caught.value.backward_location.source == "slope.backward()"
    assert caught.value.location.during == "in the backward rule of power"
    assert caught.value.location.source == "(slope,) = minigrad.grad(y, x, create_graph=True)"


def test_a_graph_recorded_outside() -> None:
    y = minigrad.sqrt(leaf(0.0))
    with pytest.raises(AnomalyError, match="called        outside detect_anomaly") as caught, detect_anomaly():
        y.backward()
    assert caught.value.location is None
    assert caught.value.path is not None


def test_gradients_are_the_same_inside() -> None:
    def gradients() -> list[np.ndarray]:
        minigrad.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3))
        images = minigrad.randn(4, 1, 6, 6)
        nn.functional.cross_entropy(net(images), Tensor([0, 1, 2, 0])).backward()
        return [p.grad.numpy() for p in net.parameters()]

    outside = gradients()
    with detect_anomaly():
        inside = gradients()
    assert len(inside) == 4
    for a, b in zip(inside, outside, strict=True):
        np.testing.assert_array_equal(a, b)


# ------------------------------------------------------------------------------------------------- changed saved arrays


def test_an_input_written_to_after_forward() -> None:
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        y = x * w
        w.data[0] = 7.0
        y.sum().backward()
    message = check(caught.value, "mul", "backward", "y = x * w")
    assert "mul: its saved input 1 changed after forward" in message
    assert "input 1 now   (2,) float32: min 4, max 7, mean 5.5\n" in message
    assert caught.value.backward_location.source == "y.sum().backward()"
    assert caught.value.path is None


def test_an_output_written_to_after_forward() -> None:
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        y = minigrad.exp(leaf(1.0, 2.0))
        y.data *= 2.0
        y.sum().backward()
    message = check(caught.value, "exp", "backward", "y = minigrad.exp(leaf(1.0, 2.0))")
    assert "exp: its saved output 0 changed after forward" in message


class KeepsAMask(Function):
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dy):
        return (dy * Tensor(self.mask),)


def test_an_array_that_the_operation_kept_written_to() -> None:
    with pytest.raises(AnomalyError, match="KeepsAMask: its saved mask changed after forward"), detect_anomaly():
        y = KeepsAMask.apply(leaf(1.0, -2.0))
        y.grad_fn.mask[1] = True
        y.sum().backward()


class KeepsTwice(Function):
    """y = 2 x, with an array for its rule that lies deeper in an attribute of the name that the test chooses."""

    def forward(self, x):
        twos = self.xp.full_like(x, 2.0)
        setattr(self, self.keep, self.wrap(twos))
        return x * twos

    def backward(self, dy):
        kept = getattr(self, self.keep)
        return (dy * Tensor._wrap(self.unwrap(kept), dy.backend),)


@pytest.mark.parametrize(
    ("wrap", "unwrap", "place"),
    [
        (lambda a: [a], lambda kept: kept[0], r"kept\[0\]"),
        (lambda a: (1, a), lambda kept: kept[1], r"kept\[1\]"),
        (lambda a: {"twos": a}, lambda kept: kept["twos"], r"kept\['twos'\]"),
        (lambda a: [{"twos": (a,)}], lambda kept: kept[0]["twos"][0], r"kept\[0\]\['twos'\]\[0\]"),
        (lambda a: Tensor._wrap(a, Tensor(1.0).backend), lambda kept: kept.data, "kept"),
        (lambda a: [Tensor._wrap(a, Tensor(1.0).backend)], lambda kept: kept[0].data, r"kept\[0\]"),
    ],
    ids=["list", "tuple", "dict", "nested", "Tensor", "list of Tensors"],
)
@pytest.mark.parametrize("keep", ["kept", "_kept"])
def test_an_array_kept_deeper_written_to(wrap, unwrap, place, keep) -> None:
    parameters = {"keep": keep, "wrap": wrap, "unwrap": unwrap}
    x = leaf(1.0, -2.0)
    message = f"KeepsTwice: its saved {place.replace('kept', keep)} changed after forward"
    with detect_anomaly():
        KeepsTwice.apply(x, **parameters).sum().backward()
        y = KeepsTwice.apply(x, **parameters)
        unwrap(getattr(y.grad_fn, keep))[1] = 7.0
        with pytest.raises(AnomalyError, match=message):
            y.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_a_list_that_holds_itself() -> None:
    def within_itself(array: object) -> list:
        kept = [array]
        kept.append(kept)
        return kept

    x = leaf(1.0)
    with detect_anomaly():
        KeepsTwice.apply(x, keep="kept", wrap=within_itself, unwrap=lambda kept: kept[0]).backward()
    assert x.grad.tolist() == [2.0]


def test_views_and_layouts_are_compared_as_they_lie() -> None:
    images = minigrad.randn(3, 2, 5, 5).requires_grad_()
    with detect_anomaly():
        y = minigrad.conv2d(images, minigrad.randn(4, 2, 3, 3).requires_grad_())
        y.transpose(3, 1, 0, 2)[::-1, :, ::2].sum().backward()
        z = minigrad.broadcast_to(leaf(1.0), (3, 1)) * images[0, 0, :3]
        images.data = images.data * 2  # another array, which is no change of the saved one
        z.sum().backward()


def test_the_mode_keeps_no_graph_alive() -> None:
    gc.disable()
    try:
        with detect_anomaly():
            y = minigrad.exp(leaf(1.0))
            node, array = weakref.ref(y.grad_fn), weakref.ref(y.data)
            del y
            assert node() is None
            assert array() is None
    finally:
        gc.enable()


# ------------------------------------------------------------------------------------------------------------- the mode


def test_outside_nothing_is_watched() -> None:
    with detect_anomaly():
        pass
    with np.errstate(all="ignore"):
        assert math.isnan(minigrad.log(Tensor(-1.0)).item())


def test_as_a_decorator_which_may_call_itself() -> None:
    @detect_anomaly()
    def countdown(n: int) -> float:
        """What it says."""
        minigrad.log(Tensor(float(n)))
        return countdown(n - 1)

    with pytest.raises(AnomalyError, match="log: "):
        countdown(3)
    assert countdown.__doc__ == "What it says."


def test_a_generator_is_not_decorated() -> None:
    with pytest.raises(TypeError, match="detect_anomaly: expected a function, got .* in a generator, use with"):

        @detect_anomaly()
        def steps() -> Iterator[int]:
            yield 1


def test_an_async_function_is_not_decorated() -> None:
    with pytest.raises(TypeError, match="detect_anomaly: expected a function, got .* in an async function, use with"):

        @detect_anomaly()
        async def step() -> None:
            minigrad.log(Tensor(-1.0))

    with pytest.raises(TypeError, match="detect_anomaly: expected a function, got .* in an async function, use with"):

        @detect_anomaly()
        async def steps():
            yield 1


def test_an_error_can_be_pickled_without_its_node(tmp_path) -> None:
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        minigrad.sqrt(leaf(0.0)).backward()
    error, copy = caught.value, pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy), copy.node) == (AnomalyError, str(error), None)
    for name in ("operation", "phase", "location", "backward_location", "path"):
        assert getattr(copy, name) == getattr(error, name) is not None


def test_contexts_nest_and_the_outer_one_comes_back(tmp_path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    with detect_anomaly():
        with detect_anomaly(inner, allow_infinite=True):
            minigrad.exp(Tensor(1000.0))
            with pytest.raises(AnomalyError) as caught:
                minigrad.log(Tensor(-1.0))
            assert os.path.dirname(caught.value.path) == str(inner)
        with pytest.raises(AnomalyError) as caught:
            minigrad.exp(Tensor(1000.0))
        assert os.path.dirname(caught.value.path) == str(tmp_path)


def test_any_exception_leaves_the_mode_off() -> None:
    with pytest.raises(ZeroDivisionError), detect_anomaly():
        1 / 0  # noqa: B018
    with np.errstate(all="ignore"):
        minigrad.log(Tensor(-1.0))


def test_an_exception_in_a_rule_leaves_the_mode_on() -> None:
    class Broken(Function):
        def forward(self, x):
            return x * 1

        def backward(self, dy):
            raise KeyError("broken")

    with detect_anomaly():
        with pytest.raises(KeyError, match="broken"):
            Broken.apply(leaf(1.0)).backward()
        with pytest.raises(AnomalyError, match="log: its result"):
            minigrad.log(Tensor(-1.0))


def test_other_threads_are_not_watched() -> None:
    results, entered, done = [], threading.Event(), threading.Event()

    def other() -> None:
        entered.wait(10)
        with np.errstate(all="ignore"):
            x = leaf(0.0)
            minigrad.sqrt(x).backward()
            results.append(x.grad.item())
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with detect_anomaly():
        entered.set()
        assert done.wait(10)
        with pytest.raises(AnomalyError):
            minigrad.log(Tensor(-1.0))
    thread.join()
    assert results == [math.inf]


def test_threads_enter_and_leave_at_once() -> None:
    wrong = []

    def work(bad: bool) -> None:
        for _ in range(50):
            try:
                with detect_anomaly(allow_infinite=not bad):
                    minigrad.exp(Tensor(1000.0))
                    found = False
            except AnomalyError as error:
                found = True
                os.unlink(error.path)
            if found != bad:
                wrong.append(bad)

    threads = [threading.Thread(target=work, args=(i % 2 == 0,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class KeepsAnArray(Function):
    def forward(self, x):
        self.kept = x + 1.0
        return x / self.divisor

    def backward(self, dy):
        return (dy / self.divisor,)


def test_what_forward_keeps_is_no_parameter_of_the_operation(tmp_path) -> None:
    with pytest.raises(AnomalyError) as caught, detect_anomaly(tmp_path):
        KeepsAnArray.apply(Tensor([1.0]), divisor=0.0)
    assert "divisor=0" in str(caught.value)
    assert "kept" not in str(caught.value)
