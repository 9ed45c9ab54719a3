"""Options that were changed where they change nothing: whoever changes one expects an effect."""

from collections.abc import Mapping
from typing import Any

from ..errors import InputError


def refuse_idle_options(
    values: Mapping[str, Any], defaults: Mapping[str, Any], belonging: Mapping[str, tuple[bool, str]]
) -> None:
    """Refuse options without effect.

    Args:
        values: of all options of a command.
        defaults: what they are where nobody changes them.
        belonging: for some options whether they have an effect beside the others, and what they belong to.

    Raises:
        InputError: for the first that was changed and has none.
    """
    for name, (acts, home) in belonging.items():
        if not acts and values[name] != defaults[name]:
            raise InputError(f"--{name.replace('_', '-')} changes nothing here: it belongs to {home}. Leave it out.")
