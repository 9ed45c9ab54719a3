"""Scores of rounds as a report shows them: as arrays for pictures and as cells of a table."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..estimators.learning.judge import Judge
from .fit_record import RoundRecord, Task
from .headline import ABSENT, interval_text, score_text, shrinkage_text

HOW_TO_READ = {
    Judge.LEAVE_ONE_OUT: "Leave-one-out is exact for the fixed kernel on the images (up to the choice of the ridge); "
    "where it shows no accuracy it is estimated, which squared errors bear and accuracies do not. From "
    "round 1 on, and in all rounds of further layers, it is optimistic, because M, or the features drawn from it, have seen "
    "the labels of all training images, also of the one left out. "
    "Test scores, where there are any, tell how good the chosen round is; they choose none.",
    Judge.CROSS_VALIDATION: "Every fold of the cross-validation learns its own M without the images that it holds out, so that "
    "no round is judged by what it has seen; only the best of several rounds is a little lucky.",
    Judge.SELECTION: "The images of the selection set are neither fitted nor tested on; only the best of several rounds "
    "is a little lucky on them.",
}


class Scores(NamedTuple):
    """Scores of several rounds, as pictures take them."""

    train: Float[np.ndarray, " rounds"]
    held_out: Float[np.ndarray, " rounds"]
    test: Float[np.ndarray, " rounds"] | None
    test_interval: Float[np.ndarray, "rounds 2"] | None

    @classmethod
    def of(cls, rounds: Sequence[RoundRecord]) -> "Scores":
        """Scores that were not taken are NaN; None where none of them was."""
        tests = np.array([np.nan if r.test_score is None else r.test_score for r in rounds])
        intervals = np.array([r.test_interval or (np.nan, np.nan) for r in rounds])
        return cls(
            np.array([r.train_score for r in rounds]),
            np.array([r.held_out_score for r in rounds]),
            tests if np.isfinite(tests).any() else None,
            intervals if np.isfinite(intervals).any() else None,
        )


def score_columns(rounds: Sequence[RoundRecord], task: Task, judge: Judge) -> dict[str, list[str]]:
    """A table of rounds, column by column."""
    shrinkages = [r.shrinkage for r in rounds]
    shrunk = {"Shrinkage": [*map(shrinkage_text, shrinkages)]} if any(s is not None for s in shrinkages) else {}
    return shrunk | {
        "Ridge": [f"{r.ridge:.3g}" for r in rounds],
        "Train": [score_text(r.train_score, task) for r in rounds],
        "Selection" if judge is Judge.SELECTION else capitalised(judge.label): [
            score_text(r.held_out_score, task) for r in rounds
        ],
        "Error": [ABSENT if np.isnan(r.held_out_error) else f"{r.held_out_error:.4g}" for r in rounds],
        "Test": [score_text(r.test_score, task) for r in rounds],
        "95% interval": [interval_text(r.test_interval, task) for r in rounds],
        "Seconds": [f"{r.seconds:.1f}" for r in rounds],
    }


def capitalised(words: str) -> str:
    """With a capital at the beginning, and nothing else changed."""
    return words[:1].upper() + words[1:]
