"""Work is shared once among threads; a failure or an interrupt leaves the rest undone, and torch as it was."""

import threading
from collections.abc import Iterator

import pytest
import torch

from convrfm.kernels.threads import SMALL, in_order, one_torch_thread, share, sum_in_order, threads_for


def test_every_item_is_worked_once() -> None:
    done: list[int] = []
    share(done.extend, range(100))
    assert sorted(done) == list(range(100))


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.usefixtures("threads_of_torch")
def test_a_failure_is_told_and_no_more_is_begun(error: type[BaseException], failing: int) -> None:
    torch.set_num_threads(2)
    begun: list[int] = []
    both = threading.Barrier(2)

    def work(items: Iterator[int]) -> None:
        for number, item in enumerate(items):
            begun.append(item)
            if number == 0:
                both.wait()
                if item == failing:
                    raise error
            threading.Event().wait(0.01)

    with pytest.raises(error):
        share(work, range(1000))
    assert failing in begun
    assert len(begun) < 100


def test_results_come_in_the_order_of_the_items() -> None:
    assert in_order(lambda i: i * i, range(100)) == [i * i for i in range(100)]
    ones = torch.ones(1000, 3)
    torch.testing.assert_close(sum_in_order(lambda at: ones[at].sum(0), 1000, ones.device), torch.full((3,), 1000.0))


def test_torch_has_one_thread_inside_and_all_of_them_afterwards() -> None:
    before = torch.get_num_threads()
    with one_torch_thread() as outer, one_torch_thread() as inner:
        assert outer == inner == before
        assert in_order(lambda _: torch.get_num_threads(), range(9)) == [1] * 9
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with pytest.raises(ZeroDivisionError):
        in_order(lambda i: 1 / i, range(9))
    assert torch.get_num_threads() == before


def test_matrices_of_few_rows_have_one_thread_and_larger_ones_all(threads_of_torch: None) -> None:
    torch.set_num_threads(3)
    with pytest.raises(ZeroDivisionError), threads_for(SMALL):
        assert torch.get_num_threads() == 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == 3
    with threads_for(SMALL + 1):
        assert torch.get_num_threads() == 3


def test_a_thread_that_begins_meanwhile_finds_as_many_threads() -> None:
    with one_torch_thread() as threads:
        found: list[int] = []

        def begin() -> None:
            with one_torch_thread() as own:
                found.append(own)

        thread = threading.Thread(target=begin)
        thread.start()
        thread.join()
    assert found == [threads]


def test_workers_are_in_the_modes_of_their_caller() -> None:
    def modes(_: int) -> tuple[bool, bool]:
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    assert set(in_order(modes, range(9))) == {(True, False)}
    with torch.no_grad():
        assert set(in_order(modes, range(9))) == {(False, False)}
    with torch.inference_mode():
        assert set(in_order(modes, range(9))) == {(False, True)}
