"""Which layers are to be measured."""

import re
from collections.abc import Iterable, Mapping, Sequence

from ..errors import InputError
from .layers import Names

ANY = "*"


class Asked:
    """Those that were asked for by name or by a pattern of names ("layer3.*"); all where nothing was.

    A module that has several names is asked for by any of them.

    Args:
        layers: One name or pattern, or several; None for all.
        names: What the network calls its layers.
    """

    def __init__(self, layers: str | Iterable[str] | None, names: Names) -> None:
        given = [layers] if isinstance(layers, str) else [*(layers if layers is not None else ())]
        if "" in given:
            raise InputError(
                "layers must name layers, or patterns of names; got an empty name. Leave it out for all layers."
            )
        self._all, self._names = layers is None, names
        self._named = {names.aliases.get(name, name): name for name in given if ANY not in name}
        self._patterns = {name: _expression(name) for name in given if ANY in name}

    def __contains__(self, name: str) -> bool:
        return self._all or name in self._named or any(self._fits(name, pattern) for pattern in self._patterns)

    def called(self, name: str) -> str:
        """As it was asked for."""
        return self._named.get(name, name)

    def check_known(self, found: Sequence[str]) -> None:
        """Raise `InputError` for a name or pattern of nothing in the network, nor of a product that was found."""
        self._names.check_known(self._named.values(), found)
        known = [*found, *self._names.known]
        for pattern, expression in self._patterns.items():
            if not any(map(expression.fullmatch, known)):
                self._names.refuse(pattern, found)

    def check_measured(self, measured: Iterable[str], found: Sequence[str], reasons: Mapping[str, str]) -> None:
        """Raise `InputError` unless every name was measured, and something by every pattern.

        Args:
            measured: What was.
            found: What ran.
            reasons: Why others were not.
        """
        measured = set(measured)
        self._names.check_ran(self._named.values(), found)
        for name, asked in self._named.items():
            if name not in measured:
                raise InputError(f"layers: {asked} was not measured: {reasons[name]}.")
        for pattern in self._patterns:
            fitting = [name for name in found if self._fits(name, pattern)]
            if not fitting:
                self._names.refuse_idle(pattern, found)
            if measured.isdisjoint(fitting):
                raise InputError(f"layers: {pattern} was not measured: {fitting[0]}: {reasons[fitting[0]]}.")

    def _fits(self, name: str, pattern: str) -> bool:
        others = (alias for alias, first in self._names.aliases.items() if first == name)
        return any(map(self._patterns[pattern].fullmatch, (name, *others)))


def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split(ANY))))
