"""What a run was computed with."""

import platform
from importlib.metadata import version


def versions() -> dict[str, str]:
    """Of Python, of this library and of those that decide its numbers."""
    names = ("convrfm", "torch", "numpy", "scipy", "scikit-learn")
    return {"Python": platform.python_version(), **{name: version(name) for name in names}}


def versions_sentence() -> str:
    """The same in one line."""
    return ", ".join(f"{name} {number}" for name, number in versions().items())
