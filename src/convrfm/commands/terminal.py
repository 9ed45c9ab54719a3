"""What a person at the terminal sees: results on the output, remarks and errors on the error stream, mistakes as sentences."""

import functools
import shlex
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import typer
from rich.console import Console

from ..errors import ConvRFMError

console = Console()
complaints = Console(stderr=True)


def say(sentence: str) -> None:
    """A line of results, as it is."""
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def say_notes(notes: Iterable[str]) -> None:
    """Remarks on the data."""
    for note in notes:
        complaints.print(note, style="dim", markup=False, soft_wrap=True)


def command_line() -> str:
    """The command that was typed, for the page that it makes."""
    return shlex.join(["convrfm", *sys.argv[1:]])


def worded(command: Callable[..., None]) -> Callable[..., None]:
    """Show the library's own errors as sentences, not as tracebacks; leave with 2, or 130 after Ctrl-C."""

    @functools.wraps(command)
    def wrapped(*args: Any, **keywords: Any) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default", UserWarning)
                warnings.showwarning = lambda message, *_: complaints.print(
                    str(message), style="yellow", markup=False, soft_wrap=True
                )
                command(*args, **keywords)
        except ConvRFMError as error:
            _show_error(str(error))
            raise typer.Exit(2) from error
        except OSError as error:
            _show_error(f"{error}. Look at the path and its rights.")
            raise typer.Exit(2) from error
        except KeyboardInterrupt as interrupt:
            complaints.print("interrupted.")
            raise typer.Exit(130) from interrupt

    return wrapped


def _show_error(sentence: str) -> None:
    complaints.print("error:", style="bold red", end=" ")
    complaints.print(sentence, markup=False, highlight=False, soft_wrap=True)
