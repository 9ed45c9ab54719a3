"""A function in a process of its own gives what it returns, or says what kept it from that."""

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.architectures.limited import limited


def spin() -> dict[str, Any]:
    while True:
        pass


def sleep() -> dict[str, Any]:
    time.sleep(600)
    return {}


def fail() -> dict[str, Any]:
    raise ValueError("no such layer")


@pytest.mark.parametrize(
    ("function", "gigabytes", "found"),
    [
        (lambda: {"layers": 3}, 100, {"layers": 3}),
        (sleep, 0.001, {"failed": "left out: needs more than 0.001 GB of memory"}),
        (spin, 100, {"failed": "left out: needs more than 1 s of a CPU"}),
        (fail, 100, {"failed": "ValueError: no such layer"}),
        (lambda: os._exit(7), 100, {"failed": "its process ended with status 7"}),
    ],
)
def test_the_outcome_or_what_kept_it_from_coming(
    function: Callable[[], dict[str, Any]], gigabytes: float, found: dict[str, Any]
) -> None:
    assert limited(function, 1, gigabytes) == found
