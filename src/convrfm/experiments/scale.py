"""How much of an experiment is computed."""

from enum import StrEnum

SAYS_NOTHING = "Scale smoke: only the machinery is shown; the verdict says nothing."


class Scale(StrEnum):
    """A run of seconds that shows that everything works, a run for two cores and an hour, or the published size."""

    SMOKE = "smoke"
    LAPTOP = "laptop"
    FULL = "full"
