"""The sections on models beside the one that is shown: those that were compared, and those to try next."""

from collections.abc import Sequence

from ..estimators.learning.judge import Judge
from ..quantities import counted
from .fit_record import CandidateRecord, FitRecord, Task, best_learned
from .headline import held_out_text, what_chose
from .page import Section
from .scores import capitalised


def candidates_section(
    candidates: Sequence[CandidateRecord], chosen: int, task: Task, judge: Judge = Judge.LEAVE_ONE_OUT
) -> Section:
    """What every model reached by the judge that chose between them."""
    return (
        Section("Models that were compared")
        .prose(
            "One fit of each, each with its own ridge and round. "
            f"The {judge.scored(what_chose(candidates[chosen]))} of the kept round chose; test images had no part in it."
        )
        .table(
            ("Model", capitalised(judge.label), "Updates kept", "Seconds"),
            [
                [c.name, held_out_text(c, task), ", ".join(map(str, c.iterations)), f"{c.seconds:.1f}"]
                for c in candidates
            ],
            caption="The chosen model is marked; the rest of this page is about it.",
            marked_rows=[chosen],
        )
    )


def little_gained(record: FitRecord) -> str:
    """What the judge says of the fixed kernel, and of what was learned."""
    fixed, kept = record.stages[0], record.stages[-1]
    layers, rounds = len(record.layers), record.layers[-1].rounds
    if layers == 1 and record.layers[0].gained_nothing:
        found, learned = "Nothing was gained by learning: the fixed kernel is kept", best_learned(rounds)
    elif record.lost:
        found, learned = "Learning lost", kept
    elif held_out_text(kept, record.task) == held_out_text(fixed, record.task):
        found, learned = "By what chose, nothing was gained by learning", kept
    else:
        found, learned = "Learning gained little", kept
    updates = counted(learned.iteration, "update")
    return (
        f"{found} ({record.judge.label}: {held_out_text(fixed, record.task)} with the fixed kernel, "
        f"{held_out_text(learned, record.task)} after {updates if layers == 1 else f'{layers} layers'})."
    )


def why_next(record: FitRecord) -> str:
    """Why something is proposed."""
    learned = len(record.layers) > 1 or len(record.layers[0].rounds) > 1
    return little_gained(record) if learned else "No update of M was asked for."


def next_section(record: FitRecord) -> Section:
    """What may do better, with its cost on this machine."""
    return (
        Section("What to try next")
        .prose(f"{why_next(record)} The commands below the table are these lines in their order, to be copied.")
        .table(
            ("Options", "Why", "Time of its rounds"),
            [[step.options, step.reason, step.cost] for step in record.next_steps],
            caption="Times are estimated from small runs on this machine with these images; where those would take longer "
            "than twenty seconds and half of this fit, the next one tells itself. docs/accuracy.md has measured examples.",
        )
        .code("\n".join(step.command for step in record.next_steps))
    )
