"""What is to be said of the names of classes: that some look alike."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from .walking import composed


def class_notes(data: object, classes: Iterable[int | str]) -> list[str]:
    """Sentences on classes that differ in capitals, spaces or the spelling of accents alone."""
    names = [name for name in classes if isinstance(name, str)]
    alike = defaultdict[str, list[str]](list)
    for name in names:
        alike[_plain(name)].append(name)
    pairs = [" and ".join(map(_shown, several)) for several in alike.values() if len(several) > 1]
    notes = []
    if pairs:
        notes.append(
            f"Names of classes of {data} differ in capitals, spaces or accents alone: {'; '.join(pairs)}. Each is a class of "
            "its own; where two are one, give them one name."
        )
    return notes


def merged_note(folder: object, names: Sequence[str]) -> list[str]:
    """A sentence on folders of classes that are one class, since their names differ in how accents are written alone."""
    alike = defaultdict[str, list[str]](list)
    for name in names:
        alike[composed(name)].append(name)
    pairs = [" and ".join(map(_shown, several)) for several in alike.values() if len(several) > 1]
    return [f"Folders of {folder} whose names look the same are one class: {'; '.join(pairs)}."] if pairs else []


def _plain(name: str) -> str:
    return composed(" ".join(composed(name).casefold().split()))


def _shown(name: str) -> str:
    """In quotes, and spelled out where accents are apart from their letters."""
    return repr(name) if composed(name) == name else ascii(name)
