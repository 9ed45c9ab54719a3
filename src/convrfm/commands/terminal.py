"""What a person at the terminal sees: results on the output, remarks and errors on the error stream, mistakes as sentences."""

import functools
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import typer
from rich.console import Console

from ..errors import ConvRFMError

OPTIONS = {"n_iterations": "iterations", "n_filters": "filters", "random_state": "seed"}  # called otherwise in Python

console = Console()
complaints = Console(stderr=True)


def say(sentence: str) -> None:
    """A line of results, as it is."""
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def remark(sentence: str) -> None:
    """A line beside the results."""
    complaints.print(sentence, style="dim", markup=False, highlight=False, soft_wrap=True)


def say_notes(notes: Iterable[str]) -> None:
    """Remarks on the data."""
    for note in notes:
        remark(note)


def command_line() -> str:
    """The command that was typed, for the page that it makes."""
    return shlex.join(["convrfm", *sys.argv[1:]])


def worded(command: Callable[..., None]) -> Callable[..., None]:
    """Show the library's own errors as sentences, not as tracebacks; leave with 2, or 130 after Ctrl-C.

    Warnings are lines on the error stream, each said once. Arguments of Python in a sentence become options.
    """

    @functools.wraps(command)
    def wrapped(*args: Any, **keywords: Any) -> None:
        for stream in (sys.stdout, sys.stderr):
            if reconfigure := getattr(stream, "reconfigure", None):
                reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no reason to stop
        said = set[str]()

        def say_once(message: Warning | str, *_: object, **__: object) -> None:
            if str(message) not in said:
                said.add(str(message))
                complaints.print(as_options(str(message), keywords), style="yellow", markup=False, soft_wrap=True)

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default", UserWarning)
                warnings.showwarning = say_once
                command(*args, **keywords)
        except ConvRFMError as error:
            _show_error(as_options(str(error), keywords))
            raise typer.Exit(2) from error
        except OSError as error:
            _show_error(f"{error}. Look at the path and its rights.")
            raise typer.Exit(2) from error
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and "memory" not in str(error).partition("\n")[0]:
                raise
            _show_error(
                "there is not enough memory for this. Take fewer images (--n-train, --agop-samples), or smaller ones "
                f"(--image-size). {error}"
            )
            raise typer.Exit(2) from error
        except KeyboardInterrupt as interrupt:
            complaints.print("interrupted.")
            raise typer.Exit(130) from interrupt

    return wrapped


def as_options(sentence: str, names: Iterable[str]) -> str:
    """A sentence about arguments of Python as one about the options of these names.

    >>> as_options("Pass image_size=(6, 8), or unreadable='skip'.", ["image_size", "unreadable"])
    'Pass --image-size 6, or --unreadable skip.'
    """
    for name in (*names, *OPTIONS):
        option = "--" + OPTIONS.get(name, name).replace("_", "-")
        sentence = re.sub(rf"\b{name}=True\b", option, sentence)
        sentence = re.sub(rf"\b{name}=\(?[\"']?([\w.]+)[\"']?(, \w+\))?", rf"{option} \1", sentence)
        if "_" in name:
            sentence = re.sub(rf"(?<![\w-]){name}\b", option, sentence)
    return sentence


def _show_error(sentence: str) -> None:
    complaints.print("error:", style="bold red", end=" ")
    complaints.print(sentence, markup=False, highlight=False, soft_wrap=True)
