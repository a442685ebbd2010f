"""When operations are recorded: no_grad and enable_grad in every arrangement, detach, requires_grad_."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from minigrad import Tensor, enable_grad, is_grad_enabled, no_grad

pytestmark = pytest.mark.usefixtures("on_backend")


@pytest.fixture
def x() -> Tensor:
    return Tensor(np.array([1.0, 2.0]), requires_grad=True)


def recorded(x: Tensor) -> bool:
    y = x * 2.0
    assert y.requires_grad == (y.grad_fn is not None) == is_grad_enabled()
    return y.requires_grad


def test_recording_is_on_by_default(x) -> None:
    assert recorded(x)


def test_no_grad_as_a_context(x) -> None:
    with no_grad():
        assert not recorded(x)
    assert recorded(x)


def test_no_grad_as_a_decorator(x) -> None:
    @no_grad()
    def evaluate() -> bool:
        """What it says."""
        return recorded(x)

    assert not evaluate()
    assert recorded(x)
    assert evaluate.__doc__ == "What it says."


def test_enable_grad_as_a_context_and_as_a_decorator(x) -> None:
    @enable_grad()
    def train() -> bool:
        return recorded(x)

    with no_grad():
        assert train()
        with enable_grad():
            assert recorded(x)
        assert not recorded(x)


def test_modes_nest_and_the_outer_one_comes_back(x) -> None:
    with no_grad():
        with enable_grad():
            with no_grad():
                assert not recorded(x)
            assert recorded(x)
        assert not recorded(x)
    assert recorded(x)


def test_one_object_may_be_entered_inside_itself(x) -> None:
    off = no_grad()
    with off:
        with off:
            pass
        assert not recorded(x)
    assert recorded(x)


def test_a_decorated_function_may_call_itself(x) -> None:
    @no_grad()
    def countdown(n: int) -> bool:
        return recorded(x) or (n > 0 and countdown(n - 1))

    assert not countdown(3)
    assert recorded(x)


def test_the_mode_comes_back_after_an_error(x) -> None:
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert recorded(x)


def test_a_generator_that_was_suspended_inside_does_not_turn_recording_off_for_good(x) -> None:
    def batches():
        with no_grad():
            yield recorded(x)

    assert list(batches()) == [False]
    assert recorded(x)


def test_each_thread_has_a_mode_of_its_own(x) -> None:
    inside, outside = threading.Event(), threading.Event()
    seen = []

    def other() -> None:
        seen.append(recorded(x))
        with no_grad():
            inside.set()
            outside.wait(10)
            seen.append(recorded(x))

    thread = threading.Thread(target=other)
    with no_grad():
        thread.start()
        inside.wait(10)
    assert recorded(x)
    outside.set()
    thread.join()
    assert seen == [True, False]


def test_one_decorated_function_runs_in_two_threads_at_once(x) -> None:
    """The one that leaves first must not bring back the other thread's mode."""
    first_is_inside, second_is_inside = threading.Event(), threading.Event()
    seen = {}

    @no_grad()
    def evaluate(mine: threading.Event, other: threading.Event) -> None:
        mine.set()
        other.wait(10)

    def first() -> None:
        evaluate(first_is_inside, second_is_inside)
        seen["first"] = is_grad_enabled()

    def second() -> None:
        with no_grad():
            first_is_inside.wait(10)
            evaluate(second_is_inside, first_is_inside)
            seen["second"] = is_grad_enabled()

    threads = [threading.Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"first": True, "second": False}


def test_backward_runs_in_several_threads_at_once() -> None:
    gradients = {}

    def work(k: int) -> None:
        x = Tensor(np.full(4, float(k)), requires_grad=True)
        y = x
        for _ in range(50):
            y = y * 1.0 + x * 0.0
        (y * y).sum().backward()
        gradients[k] = x.grad.tolist()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gradients == {k: [2.0 * k] * 4 for k in range(8)}


def test_backward_works_while_recording_is_off(x) -> None:
    y = (x * x).sum()
    with no_grad():
        y.backward()
        assert not is_grad_enabled()
    assert x.grad.tolist() == [2.0, 4.0]


def test_the_mode_is_untouched_between_the_steps_of_a_pass(x) -> None:
    for create_graph in (False, True):
        for _ in (x * x).sum().backward_steps(create_graph=create_graph):
            assert is_grad_enabled()
    with no_grad():
        y = x * 1.0
    assert not y.requires_grad
    x.grad = None


# --------------------------------------------------------------------------------------------- detach and requires_grad


def test_detach_cuts_the_graph_and_keeps_the_array(x) -> None:
    y = x * 2.0
    cut = y.detach()
    assert cut.data is y.data
    assert (cut.requires_grad, cut.grad_fn, cut.is_leaf) == (False, None, True)
    (cut * x).sum().backward()
    assert x.grad.tolist() == y.tolist()


def test_requires_grad_marks_a_leaf_from_then_on() -> None:
    x = Tensor(np.array(2.0))
    before = x * 3.0
    assert x.requires_grad_() is x
    after = x * 3.0
    assert (before.requires_grad, after.requires_grad) == (False, True)
    after.backward()
    assert x.grad.item() == 3.0


def test_a_leaf_that_was_frozen_since_gets_no_gradient() -> None:
    x, w = (Tensor(np.array(value), requires_grad=True) for value in (2.0, 3.0))
    y = x * w + x
    assert not x.requires_grad_(False).requires_grad
    y.backward()
    assert (x.grad, w.grad.item()) == (None, 2.0)


@pytest.mark.parametrize("values", [[1, 2], [True, False]])
def test_integers_and_booleans_never_require_a_gradient(values) -> None:
    x = Tensor(values)
    for ask in (
        lambda: x.requires_grad_(),
        lambda: setattr(x, "requires_grad", True),
        lambda: Tensor(values, requires_grad=True),
    ):
        with pytest.raises(TypeError, match=r"only floating tensors can require a gradient; this one is (int64|bool)"):
            ask()
    assert not x.requires_grad
    assert not x.requires_grad_(False).requires_grad


def test_a_computed_tensor_cannot_stop_requiring_a_gradient(x) -> None:
    y = x * 2.0
    y.requires_grad_()
    with pytest.raises(RuntimeError, match=r"can't be turned off; use detach\(\)"):
        y.requires_grad_(False)


def test_no_grad_without_parentheses_is_an_error_at_once() -> None:
    with pytest.raises(TypeError, match=r"no_grad\(\) takes no arguments"):

        @no_grad
        def evaluate() -> None: ...


def test_a_generator_function_is_not_decorated() -> None:
    def numbers():
        yield 1

    with pytest.raises(
        TypeError, match=r"^no_grad: expected a function, got <function .*numbers.*; in a generator, use with"
    ):
        no_grad()(numbers)
