"""No hostile input of the corpus gives a traceback or wrong values; `python -m tests.hostile` tries thousands."""

import pytest

from .trials import run_trials


@pytest.mark.usefixtures("as_a_user")
def test_hostile_inputs_are_refused_in_words_or_give_what_was_written() -> None:
    outcome = run_trials(130, seed=0)
    assert not outcome.faults, outcome.faults[0]
    assert {result for _, result in outcome.counts} == {"refused", "right"}
