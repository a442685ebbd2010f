"""How the numba backend keeps count of threads, with stand-ins for numba and for the libraries of matrix products."""

from __future__ import annotations

import os
from importlib.util import module_from_spec

import pytest
from locks import is_free

pytest.importorskip("numba")

from minigrad.backends.numba import threads


@pytest.mark.parametrize(
    ("omp", "expected"), [("3", 3), ("1", 1), ("9", 4), ("2,4", 2), (" 2 ", 2), ("0", None), ("", None), ("many", None)]
)
def test_the_environment_may_say_how_many(monkeypatch, omp: str, expected: int | None) -> None:
    monkeypatch.setattr(threads, "_most", lambda: 4)
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", omp)
    assert threads._number_from_environment() == expected
    assert threads.Threads().number == expected
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    assert threads._number_from_environment() is None
    monkeypatch.delenv("NUMBA_NUM_THREADS")
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads._number_from_environment() is None


def test_a_number_is_set_for_numba_and_for_matrix_products_up_to_what_numba_has(monkeypatch) -> None:
    told = []
    monkeypatch.setattr(threads, "_most", lambda: 4)
    monkeypatch.setattr(threads.blas, "set_num_threads", told.append)
    monkeypatch.setattr(threads.threads, "number", 1)
    with pytest.raises(ValueError, match="numba has started with 4 threads and takes no more, got 5"):
        threads.set_num_threads(5)
    assert (threads.get_num_threads(), told) == (1, [])
    threads.set_num_threads(4)
    assert (threads.get_num_threads(), told) == (4, [4])


def test_without_a_number_there_are_as_many_as_numba_has(monkeypatch) -> None:
    monkeypatch.setattr(threads.numba, "get_num_threads", lambda: 7)
    monkeypatch.setattr(threads.threads, "number", None)
    assert threads.get_num_threads() == 7
    assert threads._most() == threads.numba.config.NUMBA_NUM_THREADS


def test_numba_is_told_of_a_number_that_is_set(monkeypatch) -> None:
    told = []
    monkeypatch.setattr(threads.numba, "set_num_threads", told.append)
    own = threads.Threads()
    for number in (None, 2, 1, None):
        own.number = number
        own.tell_numba()
        assert own.told.number == (told[-1] if told else None)
    assert told == [2, 1]


def test_after_a_fork_nobody_holds_the_turn_and_one_thread_does_all() -> None:
    own = threads.Threads()
    own.set(3)
    assert (own.forked, own.number, own.parts) == (False, 3, 3)
    own.turn.acquire()
    assert not is_free(own.turn)
    own.after_fork()
    assert (own.forked, own.parts) == (True, 1)
    assert is_free(own.turn)
    own.set(2)
    assert (own.number, own.parts) == (2, 1)


@pytest.mark.parametrize("forked", [False, True])
def test_the_turn_may_be_taken_again_by_the_thread_that_has_it(forked: bool) -> None:
    own = threads.Threads()
    if forked:
        own.after_fork()
    for _ in range(2):
        assert own.turn.acquire(blocking=False)
    own.turn.release()
    assert not is_free(own.turn)
    own.turn.release()
    assert is_free(own.turn)


@pytest.mark.parametrize(("environment", "parts"), [({}, 4), ({"OMP_NUM_THREADS": "3"}, 3)])
def test_there_are_as_many_parts_as_threads(environment, parts, monkeypatch) -> None:
    monkeypatch.setattr(threads, "_most", lambda: 4)
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert threads.Threads().parts == parts


def test_forks_are_noted_where_the_system_has_them(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(os, "register_at_fork", lambda **calls: asked.append(calls), raising=False)
    again = module_from_spec(threads.__spec__)
    again.__loader__.exec_module(again)
    assert asked == [{"after_in_child": again.threads.after_fork}]
    monkeypatch.delattr(os, "register_at_fork")
    again.__loader__.exec_module(again)


class Library:
    """As threadpoolctl has one."""

    def __init__(self, number: int) -> None:
        self.num_threads = number

    def get_num_threads(self) -> int:
        return self.num_threads

    def set_num_threads(self, number: int) -> None:
        self.num_threads = number


@pytest.fixture
def libraries(monkeypatch) -> list[Library]:
    """What threadpoolctl finds here, where it is asked for libraries of matrix products."""
    found = [Library(3), Library(5)]

    class Controller:
        lib_controllers = found

        def select(self, **what):
            assert what == {"user_api": "blas"}
            return self

    monkeypatch.setattr(threads.threadpoolctl, "ThreadpoolController", Controller)
    return found


def test_matrix_products_run_on_one_thread_inside_and_get_the_others_back(libraries) -> None:
    one = threads.OneBlasThread()
    libraries[0].set_num_threads(4)  # by somebody else, since
    for _ in range(2):
        with one:
            assert numbers(libraries) == [1, 1]
            with one:
                assert numbers(libraries) == [1, 1]
            assert numbers(libraries) == [1, 1]
        assert numbers(libraries) == [4, 5]


def numbers(libraries: list[Library]) -> list[int]:
    return [library.num_threads for library in libraries]


def test_no_two_python_threads_set_the_number_for_matrix_products_at_once(libraries, monkeypatch) -> None:
    one, free = threads.OneBlasThread(), []
    monkeypatch.setattr(Library, "set_num_threads", lambda *_: free.append(is_free(one._lock)))
    with one:
        assert is_free(one._lock)
    assert free == [False] * 4
    assert is_free(one._lock)


def test_a_signals_handler_may_multiply_matrices_while_the_number_is_set(libraries, monkeypatch) -> None:
    one, set_number, interruptions = threads.OneBlasThread(), Library.set_num_threads, []

    def interrupt_once(library: Library, number: int) -> None:
        monkeypatch.setattr(Library, "set_num_threads", set_number)
        interruptions.append(number)
        assert one._lock.acquire(blocking=False)  # otherwise the next line would wait for ever
        one._lock.release()
        with one:
            pass
        set_number(library, number)

    monkeypatch.setattr(Library, "set_num_threads", interrupt_once)
    with one:
        assert numbers(libraries) == [1, 1]
        monkeypatch.setattr(Library, "set_num_threads", interrupt_once)
    assert numbers(libraries) == [3, 5]
    assert interruptions == [1, 3]
