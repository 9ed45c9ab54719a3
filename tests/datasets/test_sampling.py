"""Drawing by class."""

import numpy as np
import pytest

from convrfm.datasets.sampling import hold_out_fifth, stratified_order
from convrfm.errors import InputError

LABELS = np.random.default_rng(1).permutation(np.repeat(["a", "b", "c"], [60, 30, 10]))


def test_every_leading_part_holds_the_classes_in_proportion() -> None:
    order = stratified_order(LABELS, np.random.default_rng(0))
    assert sorted(order) == list(range(100))
    for label, share in (("a", 0.6), ("b", 0.3), ("c", 0.1)):
        counts = np.cumsum(LABELS[order] == label)
        assert np.abs(counts - share * np.arange(1, 101)).max() <= 1


def test_no_class_is_preferred_where_they_tie() -> None:
    pairs = np.array([0, 1] * 5)
    first = [pairs[stratified_order(pairs, np.random.default_rng(seed))[0]] for seed in range(50)]
    assert 10 < sum(first) < 40


def test_a_fifth_is_held_out_and_nothing_is_lost() -> None:
    kept, held_out = hold_out_fifth(LABELS, np.random.default_rng(0))
    assert sorted([*kept, *held_out]) == list(range(100))
    assert np.unique(LABELS[held_out], return_counts=True)[1].tolist() == [12, 6, 2]


def test_a_class_of_one_image_stays_in_training() -> None:
    labels = np.array([0] * 9 + [1])
    for seed in range(20):
        assert 9 in hold_out_fifth(labels, np.random.default_rng(seed))[0]


def test_one_image_cannot_be_split() -> None:
    with pytest.raises(InputError, match="two images or more"):
        hold_out_fifth(np.array([0]), np.random.default_rng(0))
