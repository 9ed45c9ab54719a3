"""What a run was computed with."""

import platform
from functools import cache
from importlib.metadata import version


def versions() -> dict[str, str]:
    """Of Python, of this library and of those that decide its numbers."""
    names = ("convrfm", "torch", "numpy", "scipy", "scikit-learn")
    return {"Python": platform.python_version(), **{name: _installed(name) for name in names}}


def versions_sentence() -> str:
    """The same in one line."""
    return ", ".join(f"{name} {number}" for name, number in versions().items())


@cache
def _installed(name: str) -> str:
    """Looked up once: the search among all that is installed takes as long as the meter on a small network."""
    return version(name)
