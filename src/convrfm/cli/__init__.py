"""The command line: a file for each command, with its options and what it prints.

A command's body is a file in `commands`, imported where it is called: help comes in the time of these files' imports,
without torch.
"""

from importlib import import_module
from pkgutil import iter_modules

from .app import app

for _file in iter_modules(__path__):
    import_module(f"{__name__}.{_file.name}")

__all__ = ["app"]
