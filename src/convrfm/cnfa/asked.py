"""Which layers are to be measured."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from ..errors import InputError
from .layers import Names


class Asked:
    """Those that were asked for by name or by a pattern of names ("layer3.*"); all where nothing was.

    Args:
        layers: One name or pattern, or several; None for all.
        names: What the network calls its layers.
    """

    def __init__(self, layers: str | Sequence[str] | None, names: Names) -> None:
        given = [layers] if isinstance(layers, str) else layers or []
        self._all, self._names = layers is None, names
        self._named = {names.aliases.get(name, name): name for name in given if "*" not in name}
        self._patterns = [name for name in given if "*" in name]

    def __contains__(self, name: str) -> bool:
        return self._all or name in self._named or any(fnmatchcase(name, pattern) for pattern in self._patterns)

    def called(self, name: str) -> str:
        """As it was asked for: a module may have several names."""
        return self._named.get(name, name)

    def check_known(self, found: Sequence[str]) -> None:
        """Raise `InputError` for a name that nothing in the network has, and no product that was found."""
        self._names.check_known(self._named.values(), found)

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
            fitting = [name for name in found if fnmatchcase(name, pattern)]
            if not fitting:
                near = get_close_matches(pattern, found, n=5, cutoff=0.4) or found[:5]
                raise InputError(f"layers: nothing that ran is named as {pattern!r}. Near matches: {', '.join(near)}.")
            if measured.isdisjoint(fitting):
                raise InputError(f"layers: {pattern} was not measured: {fitting[0]}: {reasons[fitting[0]]}.")
