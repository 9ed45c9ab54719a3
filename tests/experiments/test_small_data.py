"""Draws of the study of few training images are nested and balanced, and its plan leaves out what cannot be."""

from pathlib import Path

import numpy as np
import pytest

from convrfm.errors import InputError
from convrfm.experiments.experiment import Finding, Run, Verdict
from convrfm.experiments.scale import Scale
from convrfm.experiments.small_data import EXPERIMENT, SmallDataSettings, conclude
from convrfm.experiments.small_data.images import CLASSES, data_set
from convrfm.experiments.small_data.plan import PLAN, Stage, trials


def test_smaller_draws_are_part_of_larger_ones_and_hold_classes_equally() -> None:
    digits = data_set("digits", Path())
    small, large = (digits.training_images(n, seed=3) for n in (20, 60))
    np.testing.assert_array_equal(small.x, large.x[:20])
    assert np.ptp(np.bincount(large.y, minlength=10)) == 0
    assert len(np.unique(digits.pool.y)) == CLASSES["digits"]


@pytest.mark.parametrize("n_test", [100, 1000])
def test_no_image_is_in_two_parts(n_test: int) -> None:
    digits = data_set("digits", Path(), n_test)
    parts = [{row.tobytes() for row in part.pixels} for part in (digits.pool, digits.held_out, digits.test)]
    assert len(set.union(*parts)) == sum(map(len, parts))
    assert len(digits.pool.y) + len(digits.held_out.y) == 1198


@pytest.mark.parametrize("name", ["CIFAR-10", "USPS", "PneumoniaMNIST", "Fashion-MNIST"])
def test_a_folder_without_the_data_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{name} cannot be read.*--data must be a folder with cifar10/"):
        _ = data_set(name, tmp_path).test


def test_the_plan_leaves_out_sizes_below_the_number_of_classes() -> None:
    found = list(trials((Stage(("CNN",), (10, 50), 2),), {"GTSRB": 43, "USPS": 10}, first_seed=5))
    assert [(t.data, t.n, t.seed) for t in found] == [
        ("GTSRB", 50, 5),
        ("GTSRB", 50, 6),
        ("USPS", 10, 5),
        ("USPS", 50, 5),
        ("USPS", 10, 6),
        ("USPS", 50, 6),
    ]
    assert len(list(trials(PLAN, {name: CLASSES[name] for name in SmallDataSettings().data_sets}, 0))) == 1416


@pytest.mark.parametrize(
    ("learned", "cnn", "verdict"), [(0.6, 0.5, Verdict.HOLDS), (0.6, 0.7, Verdict.IN_PART), (0.4, 0.7, Verdict.FAILS)]
)
def test_the_verdict_compares_with_the_fixed_kernel_and_the_cnn(learned: float, cnn: float, verdict: Verdict) -> None:
    assert found(learned, cnn).verdict is verdict


def test_equal_means_are_told_as_equal_and_not_as_above() -> None:
    told = found(learned=0.5, cnn=0.5)
    assert told.verdict is Verdict.HOLDS
    assert "at least as accurate as its fixed kernel in 1 of 1 comparisons" in told.ours
    assert "above" not in f"{told.ours} {[*told.numbers]}"


def test_what_the_table_does_not_show_is_not_counted_and_what_is_counted_is_shown() -> None:
    """The claim ends at 640 images; sizes of one's own below that have a line."""
    for n, shown in ((30, 1), (640, 1), (1000, 0)):
        told = found(learned=0.4, cnn=0.6, n=n)
        assert [row[1] for row in told.rows] == [n] * shown
        assert f"fixed kernel in 0 of {shown} comparisons" in told.ours


def found(learned: float, cnn: float, n: int = 20) -> Finding:
    """Of one data set and one n, where the fixed kernel has half of the images right."""
    run = Run(EXPERIMENT.settings[Scale.SMOKE], Scale.SMOKE, seed=0, device="auto", data=None, files=Path())
    scores = {"fixed kernel": 0.5, "ConvRFM": learned, "CNN": cnn}
    lines = [
        {"data": "digits", "n": n, "seed": seed, "method": method, "test": score, "judged": score, "held_out": score}
        for method, score in scores.items()
        for seed in range(2)
    ]
    return conclude(run, lines)


def test_fewer_test_images_are_part_of_more() -> None:
    few, many = (data_set("digits", Path(), n_test) for n_test in (10, 40))
    np.testing.assert_array_equal(few.test.x, many.test.x[:10])
    np.testing.assert_array_equal(few.pool.x, many.pool.x)
