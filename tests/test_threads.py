"""How the numba backend keeps count of threads, with stand-ins for numba and for the libraries of matrix products."""

from __future__ import annotations

import pytest

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


def test_numba_is_told_once_until_the_number_changes(monkeypatch) -> None:
    told = []
    monkeypatch.setattr(threads.numba, "set_num_threads", told.append)
    own = threads.Threads()
    for number in (None, 2, 2, 1, None, 1):
        own.number = number
        own.tell_numba()
    assert told == [2, 1]


def test_after_a_fork_nobody_holds_the_turn() -> None:
    own = threads.Threads()
    assert not own.forked
    own.turn.acquire()
    own.after_fork()
    assert own.forked
    assert not own.turn.locked()


class Library:
    """As threadpoolctl has one."""

    def __init__(self, number: int) -> None:
        self.num_threads = number

    def get_num_threads(self) -> int:
        return self.num_threads

    def set_num_threads(self, number: int) -> None:
        self.num_threads = number


def test_matrix_products_run_on_one_thread_inside_and_get_the_others_back(monkeypatch) -> None:
    libraries, asked = [Library(3), Library(5)], []

    class Controller:
        def select(self, **what):
            asked.append(what)
            return self

        lib_controllers = libraries

    monkeypatch.setattr(threads.threadpoolctl, "ThreadpoolController", Controller)
    one = threads.OneBlasThread()
    assert asked == [{"user_api": "blas"}]
    libraries[0].set_num_threads(4)  # by somebody else, since
    for _ in range(2):
        with one:
            with one:
                assert [library.num_threads for library in libraries] == [1, 1]
            assert [library.num_threads for library in libraries] == [1, 1]
        assert [library.num_threads for library in libraries] == [4, 5]
