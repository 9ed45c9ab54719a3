import math
from dataclasses import replace

import pytest

from convrfm.estimators.learning.judge import Judge
from convrfm.report.fit_record import RoundRecord
from convrfm.report.headline import (
    choice,
    choice_of_layers,
    headline,
    headline_of_layers,
    interval_text,
    optimism,
    score_text,
)


def a_round(
    iteration: int,
    loo: float,
    test: float | None = None,
    interval: tuple[float, float] | None = None,
    changes: tuple[int, int] | None = None,
) -> RoundRecord:
    return RoundRecord(iteration, 1e-3, 1.0, loo, 0.1, test, interval, 1.0, changes)


def test_a_rise_is_told_with_its_interval() -> None:
    rounds = [a_round(0, 0.8, 0.812), a_round(1, 0.9, 0.874, (0.841, 0.902))]
    assert headline(rounds, 1, "classification", 1000) == (
        "After 1 update of the patch metric the test accuracy rose from 81.2% (fixed kernel) to 87.4% "
        "(95% interval 84.1 to 90.2; n = 1000)."
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            (5, 1),
            "5 right where the fixed kernel is wrong, and 1 the other way round; between equally good models so large a "
            "difference has probability 0.22 (McNemar's exact test): it may be chance.",
        ),
        (
            (0, 6),
            "0 right where the fixed kernel is wrong, and 6 the other way round; between equally good models so large a "
            "difference has probability 0.031 (McNemar's exact test).",
        ),
        ((4, 4), "4 right where the fixed kernel is wrong, and 4 the other way round."),
    ],
    ids=["may be chance", "hardly chance", "no difference"],
)
def test_the_fixed_kernel_is_compared_on_the_same_test_images(changes: tuple[int, int], words: str) -> None:
    gained, lost = changes
    rounds = [a_round(0, 0.8, 0.8, None, (0, 0)), a_round(1, 0.9, 0.8 + (gained - lost) / 100, (0.7, 0.9), changes)]
    assert headline(rounds, 1, "classification", 100).endswith(f"Of the test images it gets {words}")
    assert headline_of_layers(rounds, "classification", 100).endswith(f"Of the test images it gets {words}")
    assert "Of the test images" not in headline(rounds, 0, "classification", 100)


@pytest.mark.parametrize(("after", "words"), [(0.79, "did not rise but fell from 81.2%"), (0.8121, "is what it was")])
def test_no_rise_is_told_as_such(after: float, words: str) -> None:
    text = headline([a_round(0, 0.8, 0.812), a_round(1, 0.9, after)], 1, "classification", 100)
    assert words in text
    assert "rose" not in text


def test_how_optimistic_leave_one_out_was_is_told_where_something_else_judged() -> None:
    kept = replace(a_round(1, 0.458), left_out_score=0.53)
    assert optimism(kept, "classification", Judge.CROSS_VALIDATION, learned=True) == (
        "Leave-one-out, whose M has seen every label, says 53.0% of that round, 7.2 points more than cross-validation: it "
        "chose nothing."
    )
    assert "1.0 points less than the selection set" in optimism(
        replace(kept, left_out_score=0.448), "classification", Judge.SELECTION, learned=True
    )
    assert optimism(a_round(1, 0.458), "classification", Judge.LEAVE_ONE_OUT, learned=True) == ""
    fixed = optimism(replace(kept, iteration=0), "classification", Judge.CROSS_VALIDATION, learned=False)
    assert fixed.startswith("Leave-one-out says 53.0% of that round, 7.2 points more")
    assert "label" not in fixed


def test_a_kept_fixed_kernel_is_told_as_such() -> None:
    rounds = [a_round(0, 0.9, 0.812, (0.7, 0.9)), a_round(1, 0.8, 0.9), a_round(2, 0.85, 0.9), a_round(3, 0.85, 0.9)]
    assert headline(rounds, 0, "classification", 100) == (
        "Nothing was gained by learning the patch metric: the leave-one-out accuracy is 90.0% with the fixed kernel and 85.0% "
        "after 2 of 3 updates, the best of them. The fixed kernel is kept. Its test accuracy is 81.2% (95% interval 70.0 to "
        "90.0; n = 100)."
    )
    assert headline(rounds[:1], 0, "classification", 100).startswith("No update of the patch metric was kept")
    assert "There are no test scores" in headline([a_round(0, 0.9), a_round(1, 0.8)], 0, "classification", 0)


def test_without_test_images_leave_one_out_is_called_optimistic() -> None:
    text = headline([a_round(0, 0.8), a_round(1, 0.9)], 1, "regression", 0)
    assert "leave-one-out R² rose from 0.800 (fixed kernel) to 0.900" in text
    assert "optimistic" in text
    assert "optimistic" not in headline([a_round(0, 0.8)], 0, "regression", 0)


def test_the_criterion_is_named() -> None:
    assert "leave-one-out score" in choice(a_round(3, 0.8), Judge.LEAVE_ONE_OUT, 4)
    assert "score on the selection set" in choice(a_round(3, 0.8), Judge.SELECTION, 4)
    assert "no round was chosen" in choice(a_round(3, 0.8), None, 4)
    assert "Round 0 is the only one" in choice(a_round(0, 0.8), Judge.LEAVE_ONE_OUT, 1)
    estimated = a_round(3, math.nan)
    for told in (choice(estimated, Judge.LEAVE_ONE_OUT, 4), choice_of_layers([estimated] * 2, Judge.LEAVE_ONE_OUT, 4)):
        assert "chosen" in told
        assert "leave-one-out squared error" in told


def test_where_the_judge_takes_no_accuracy_its_squared_error_is_told() -> None:
    rounds = [a_round(0, math.nan), a_round(1, math.nan)]
    for best in (0, 1):
        text = headline(rounds, best, "classification", 0)
        assert "a squared error of 0.1" in text
        assert "accuracy" not in text
        assert "rose" not in text


def test_absent_scores_are_dashes() -> None:
    assert score_text(None, "classification") == score_text(float("nan"), "regression") == "—"
    assert interval_text(None, "classification") == "—"


def test_layers_are_told_from_the_fixed_kernel_to_the_last_one() -> None:
    stages = [a_round(0, 0.8, 0.812), a_round(1, 0.9, 0.85), a_round(0, 0.9, 0.874, (0.841, 0.902))]
    assert headline_of_layers(stages, "classification", 1000) == (
        "With 2 layers the test accuracy rose from 81.2% (fixed kernel) to 87.4% (95% interval 84.1 to 90.2; n = 1000)."
    )
    assert choice_of_layers([a_round(1, 0.8), a_round(0, 0.8)], Judge.CROSS_VALIDATION, 2).startswith(
        "Rounds 1 and 0 of the layers were chosen"
    )
    alone = choice_of_layers([a_round(0, 0.8)] * 2, Judge.CROSS_VALIDATION, 1)
    assert alone.startswith("Every layer has one round, its fixed kernel; of several ridges one is chosen")
    assert "cross-validation score" in alone


def test_only_leave_one_out_is_called_optimistic() -> None:
    text = headline([a_round(0, 0.8), a_round(1, 0.9)], 1, "classification", 0, Judge.SELECTION)
    assert "the accuracy on the selection set rose from 80.0%" in text
    assert "optimistic" not in text
