"""What a run found, in plain sentences that stay honest when nothing was gained."""

import math
from collections.abc import Sequence
from typing import Literal

from .fit_record import RoundRecord, Task

ABSENT = "—"


def measure_name(task: Task) -> str:
    """What the scores of a task are called."""
    return "accuracy" if task == "classification" else "R²"


def score_text(score: float | None, task: Task) -> str:
    """A score as a reader expects it: 87.4% for an accuracy, 0.874 for R², a dash if there is none."""
    if score is None or math.isnan(score):
        return ABSENT
    return f"{score:.1%}" if task == "classification" else f"{score:.3f}"


def interval_text(interval: tuple[float, float] | None, task: Task) -> str:
    """Both ends of an interval: 84.1 to 90.2 (percent) for an accuracy, a dash if there is none."""
    if interval is None:
        return ABSENT
    low, high = interval
    return f"{100 * low:.1f} to {100 * high:.1f}" if task == "classification" else f"{low:.3f} to {high:.3f}"


def headline(rounds: Sequence[RoundRecord], best_iteration: int, task: Task, n_test: int) -> str:
    """The result in one to two sentences: the chosen round beside the fixed kernel, and how sure that is.

    Without test scores it speaks of leave-one-out scores and says that they are optimistic.
    """
    fixed, chosen = rounds[0], rounds[best_iteration]
    if fixed.test_score is None or chosen.test_score is None:
        measure = f"leave-one-out {measure_name(task)}"
        found = _change(best_iteration, measure, fixed.loo_score, chosen.loo_score, task, "")
        remedy = "There are no test scores to confirm it: keep some images aside."
        return f"{found} Leave-one-out is optimistic after round 0. {remedy}" if best_iteration else f"{found} {remedy}"
    interval = chosen.test_interval
    precision = f"95% interval {interval_text(interval, task)}; n = {n_test}" if interval else f"n = {n_test}"
    measure = f"test {measure_name(task)}"
    found = _change(best_iteration, measure, fixed.test_score, chosen.test_score, task, f" ({precision})")
    if best_iteration and interval and interval[0] <= fixed.test_score <= interval[1]:
        return f"{found} The fixed kernel lies inside that interval, so the difference may be chance."
    return found


def choice(best_iteration: int, selected_on: Literal["leave-one-out", "the selection set"] | None) -> str:
    """Which round is kept and what chose it."""
    if selected_on is None:
        return f"The model keeps the last round, {best_iteration}; nothing was chosen."
    criterion = "leave-one-out score" if selected_on == "leave-one-out" else f"score on {selected_on}"
    return f"Round {best_iteration} was chosen by its {criterion}; test scores never choose."


def _change(updates: int, measure: str, fixed: float, chosen: float, task: Task, precision: str) -> str:
    before, after = score_text(fixed, task), score_text(chosen, task)
    if updates == 0:
        same = f"the {measure} is that of the fixed kernel, {after}{precision}"
        return f"No update of the patch metric was kept: {same}."
    count = "1 update" if updates == 1 else f"{updates} updates"
    if before == after:
        return f"After {count} of the patch metric the {measure} is what it was, {after}{precision}."
    verb = "rose" if chosen > fixed else "did not rise but fell"
    found = f"the {measure} {verb} from {before} (fixed kernel) to {after}{precision}"
    return f"After {count} of the patch metric {found}."
