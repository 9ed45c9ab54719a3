"""How much of an experiment is computed."""

from enum import StrEnum


class Scale(StrEnum):
    """A run of seconds that shows that everything works, or the published size."""

    SMOKE = "smoke"
    FULL = "full"
