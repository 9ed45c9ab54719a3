"""Work is shared once among threads; a failure or an interrupt leaves the rest undone."""

import threading
from collections.abc import Iterator

import pytest
import torch

from convrfm.kernels.engines.cpu.threads import share


def test_every_item_is_worked_once() -> None:
    done: list[int] = []
    share(done.extend, range(100))
    assert sorted(done) == list(range(100))


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_is_told_and_no_more_is_begun(
    error: type[BaseException], failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
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
