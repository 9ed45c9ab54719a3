"""What a run found, in plain sentences that stay honest when nothing was gained."""

import math
from collections.abc import Sequence

from scipy.stats import binomtest

from ..estimators.learning.judge import Judge
from ..quantities import counted
from .fit_record import CandidateRecord, RoundRecord, Task, best_learned

ABSENT = "—"
UNLIKELY = 0.05  # a larger p-value is said to be chance, perhaps


def measure_name(task: Task) -> str:
    """What the scores of a task are called."""
    return "accuracy" if task == "classification" else "R²"


def score_text(score: float | None, task: Task) -> str:
    """A score as a reader expects it: 87.4% for an accuracy, 0.874 for R², a dash if there is none."""
    if score is None or math.isnan(score):
        return ABSENT
    return f"{score:.1%}" if task == "classification" else f"{score:.3f}"


def shrinkage_text(shrinkage: float | None) -> str:
    """How far an update stayed with the M before it, a dash where there was none."""
    return ABSENT if shrinkage is None else f"{shrinkage:g}"


def held_out_text(record: RoundRecord | CandidateRecord, task: Task) -> str:
    """Its score by the judge; its squared error where that takes no score."""
    if what_chose(record) == "squared error":
        return f"a squared error of {record.held_out_error:.4g}"
    return score_text(record.held_out_score, task)


def what_chose(record: RoundRecord | CandidateRecord) -> str:
    """What the judge compared: scores, or squared errors where it takes no score."""
    errors_alone = math.isnan(record.held_out_score) and not math.isnan(record.held_out_error)
    return "squared error" if errors_alone else "score"


def interval_text(interval: tuple[float, float] | None, task: Task) -> str:
    """Both ends of an interval: 84.1 to 90.2 (percent) for an accuracy, a dash if there is none."""
    if interval is None:
        return ABSENT
    low, high = interval
    return f"{100 * low:.1f} to {100 * high:.1f}" if task == "classification" else f"{low:.3f} to {high:.3f}"


def headline(
    rounds: Sequence[RoundRecord], best_iteration: int, task: Task, n_test: int, judge: Judge = Judge.LEAVE_ONE_OUT
) -> str:
    """The result in one to two sentences: the chosen round beside the fixed kernel, and how sure that is.

    Without test scores it speaks of the judge's scores and says where they are optimistic. Where no update was better than the
    fixed kernel, it says so with the judge's scores.
    """
    if best_iteration == 0 and len(rounds) > 1:
        return f"{_nothing_gained(rounds, task, judge)} {_of_fixed(rounds[0], task, n_test, judge)}"
    cause = f"After {counted(best_iteration, 'update')} of the patch metric" if best_iteration else None
    return _result(rounds[0], rounds[best_iteration], cause, task, n_test, judge)


def headline_of_layers(
    stages: Sequence[RoundRecord], task: Task, n_test: int, judge: Judge = Judge.LEAVE_ONE_OUT
) -> str:
    """The same for several layers: the last layer's kept round beside the fixed kernel."""
    return _result(stages[0], stages[-1], f"With {len(stages) - 1} layers", task, n_test, judge)


def optimism(kept: RoundRecord, task: Task, judge: Judge, *, learned: bool) -> str:
    """By how much leave-one-out, where it did not judge, thinks otherwise of the kept round than what did; "" where it did.

    `learned` is whether an update of M was kept, in whichever layer: the M of the fixed kernel has seen no label.
    """
    if kept.left_out_score is None or math.isnan(kept.held_out_score):
        return ""
    more = 100 * (kept.left_out_score - kept.held_out_score)
    seen = ", whose M has seen every label," if learned else ""
    return (
        f"Leave-one-out{seen} says {score_text(kept.left_out_score, task)} of that round, "
        f"{abs(more):.1f} points {'more' if more >= 0 else 'less'} than {judge.label}: it chose nothing."
    )


def choice(kept: RoundRecord, selected_on: Judge | None, n_rounds: int) -> str:
    """Which round of so many is kept and what chose it."""
    if selected_on is None:
        return f"The model keeps the last round, {kept.iteration}: no round was chosen."
    by = what_chose(kept)
    equal = ", of equal ones by squared error" if by == "score" else ""
    if n_rounds == 1:
        chosen = f"Round {kept.iteration} is the only one; of several ridges one is chosen by the"
    else:
        chosen = f"Round {kept.iteration} was chosen by its"
    return f"{chosen} {selected_on.scored(by)}{equal}; test scores never choose."


def choice_of_layers(kept: Sequence[RoundRecord], selected_on: Judge | None, n_rounds: int) -> str:
    """Which round, of so many in a layer, every layer keeps and what chose it."""
    if selected_on is None:
        return "Every layer keeps its last round: no round was chosen."
    *first, last = (str(record.iteration) for record in kept)
    by = selected_on.scored(what_chose(kept[-1]))
    if n_rounds == 1:
        chosen = "Every layer has one round, its fixed kernel; of several ridges one is chosen"
    else:
        chosen = f"Rounds {', '.join(first)} and {last} of the layers were chosen"
    return f"{chosen}, layer by layer, by their {by}; test scores never choose."


def _nothing_gained(rounds: Sequence[RoundRecord], task: Task, judge: Judge) -> str:
    best = best_learned(rounds)
    measure = "result" if math.isnan(best.held_out_score) else measure_name(task)
    return (
        f"Nothing was gained by learning the patch metric: the {judge.scored(measure)} is "
        f"{held_out_text(rounds[0], task)} with the fixed kernel and {held_out_text(best, task)} after "
        f"{best.iteration} of {counted(len(rounds) - 1, 'update')}{', the best of them' * (len(rounds) > 2)}. The fixed kernel "
        "is kept."
    )


def _of_fixed(fixed: RoundRecord, task: Task, n_test: int, judge: Judge) -> str:
    if fixed.test_score is None:
        return "There are no test scores: keep some images aside."
    interval = f"95% interval {interval_text(fixed.test_interval, task)}; " if fixed.test_interval else ""
    return f"Its test {measure_name(task)} is {score_text(fixed.test_score, task)} ({interval}n = {n_test})."


def _result(fixed: RoundRecord, kept: RoundRecord, cause: str | None, task: Task, n_test: int, judge: Judge) -> str:
    if fixed.test_score is None or kept.test_score is None:
        if math.isnan(kept.held_out_score):
            return (
                f"The {judge.scored('result')} is {held_out_text(kept, task)}, with the fixed kernel "
                f"{held_out_text(fixed, task)}. Accuracies need test images: keep some aside."
            )
        measure = judge.scored(measure_name(task))
        found = _change(cause, measure, fixed.held_out_score, kept.held_out_score, task, "")
        remedy = "There are no test scores to confirm it: keep some images aside."
        optimistic = cause is not None and judge is Judge.LEAVE_ONE_OUT
        return f"{found} Leave-one-out is optimistic after round 0. {remedy}" if optimistic else f"{found} {remedy}"
    interval = kept.test_interval
    precision = f"95% interval {interval_text(interval, task)}; n = {n_test}" if interval else f"n = {n_test}"
    measure = f"test {measure_name(task)}"
    found = _change(cause, measure, fixed.test_score, kept.test_score, task, f" ({precision})")
    return found if cause is None or kept.test_changes is None else f"{found} {_by_chance(*kept.test_changes)}"


def _by_chance(gained: int, lost: int) -> str:
    """How the fixed kernel compares on the same test images."""
    changes = (
        f"Of the test images it gets {gained} right where the fixed kernel is wrong, and {lost} the other way round"
    )
    if gained == lost:
        return f"{changes}."
    p = binomtest(gained, gained + lost).pvalue  # McNemar's exact test: a fair coin for every image that differs
    test = f"between equally good models so large a difference has probability {p:.2g} (McNemar's exact test)"
    return f"{changes}; {test}: it may be chance." if p >= UNLIKELY else f"{changes}; {test}."


def _change(cause: str | None, measure: str, fixed: float, kept: float, task: Task, precision: str) -> str:
    before, after = score_text(fixed, task), score_text(kept, task)
    if cause is None:
        same = f"the {measure} is that of the fixed kernel, {after}{precision}"
        return f"No update of the patch metric was kept: {same}."
    if before == after:
        return f"{cause} the {measure} is what it was, {after}{precision}."
    verb = "rose" if kept > fixed else "did not rise but fell"
    return f"{cause} the {measure} {verb} from {before} (fixed kernel) to {after}{precision}."
