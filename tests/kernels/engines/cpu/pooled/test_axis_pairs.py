"""Pairs of places: those that reach the readout, and the lines that no window joins."""

import itertools

import pytest

from convrfm.kernels import AvgPool, Conv
from convrfm.kernels.engines.cpu.pooled.axis_pairs import (
    Moved,
    all_pairs,
    equal_pairs,
    lengths_before,
    needed_pairs,
    split_into_lines,
)
from convrfm.kernels.engines.cpu.tables import gathered_places

CONVOLUTIONS = [
    Conv(size, padding=padding, stride=stride)
    for size in (1, 2, 3)
    for stride in (1, 2)
    for padding in ("valid", "same", "circular")
]
LENGTH = 7


@pytest.mark.parametrize("conv", CONVOLUTIONS, ids=str)
def test_a_readout_of_all_pairs_needs_all_that_windows_gather_together(conv: Conv) -> None:
    gathered = gathered_places(conv.window, LENGTH)
    before, _ = needed_pairs([conv], LENGTH, all_pairs(len(gathered)), equal=False)
    met = {pair for u, v in itertools.product(gathered, repeat=2) for pair in itertools.product(u, v)}
    assert before <= met
    if conv.stride == 1 and conv.padding != "valid":
        assert before == all_pairs(LENGTH)


def test_a_readout_of_equal_pairs_needs_those_less_than_a_pool_apart() -> None:
    layers: list[Moved] = [Conv(3, padding="same"), None, AvgPool(2), None]
    needed = needed_pairs(layers, 8, equal_pairs(4), equal=True)
    assert needed[-2] == equal_pairs(4)
    for pairs in needed[:3]:
        assert {v - u for u, v in pairs} == {-1, 0, 1}


def test_lines_are_diagonals_and_circular_windows_close_them() -> None:
    for padding, count in (("same", 2 * LENGTH - 1), ("circular", LENGTH)):
        conv = Conv(3, padding=padding)
        levels = needed_pairs([conv], LENGTH, all_pairs(LENGTH), equal=False)
        for lines in split_into_lines(levels, [conv], lengths_before([conv], LENGTH)):
            assert len(lines) == count
            assert sorted(itertools.chain(*lines)) == sorted(all_pairs(LENGTH))
            for line in lines:
                assert len({(v - u) % LENGTH if padding == "circular" else v - u for u, v in line}) == 1
