"""What a person at the terminal sees: results on the output, remarks and errors on the error stream, mistakes as sentences."""

import functools
import inspect
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import typer
from rich.console import Console
from typer.models import ArgumentInfo, OptionInfo

from ..announcements import announced_to
from ..errors import ConvRFMError

OTHERWISE_IN_PYTHON = {"iterations": "n_iterations", "filters": "n_filters", "seed": "random_state"}
OF_FIT = {"labels": "--labels"}  # of which other commands speak
FEWER, SMALLER = ("n_train", "agop_samples", "n_images"), ("image_size",)

console = Console()
complaints = Console(stderr=True)


def say(sentence: str) -> None:
    """A line of results, as it is."""
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def say_in_red(sentence: str) -> None:
    """What must be read before the results, where these stand."""
    console.print(sentence, style="bold red", markup=False, highlight=False, soft_wrap=True)


def remark(sentence: str) -> None:
    """A line beside the results."""
    complaints.print(sentence, style="dim", markup=False, highlight=False, soft_wrap=True)


def say_notes(notes: Iterable[str]) -> None:
    """Remarks on the data."""
    for note in notes:
        remark(note)


def at_work(on: str, *, quiet: bool) -> AbstractContextManager[object]:
    """Within it, a terminal shows what goes on; nothing where output goes elsewhere, or `quiet`."""
    return nullcontext() if quiet else complaints.status(on)


def command_line() -> str:
    """The command that was typed, for the page that it makes."""
    return shlex.join(["convrfm", *sys.argv[1:]])


def worded(command: Callable[..., None]) -> Callable[..., None]:
    """Show the library's own errors as sentences, not as tracebacks; leave with 2, or 130 after Ctrl-C.

    Warnings are lines on the error stream, each said once, and so is what is announced. Arguments of Python in a sentence are
    named as they are typed here, and what helps in Python alone is left out.
    """
    typed = OF_FIT | as_typed(command)

    @functools.wraps(command)
    def wrapped(*args: Any, **keywords: Any) -> None:
        for stream in (sys.stdout, sys.stderr):
            if reconfigure := getattr(stream, "reconfigure", None):
                reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no reason to stop
        said = set[str]()

        def say_once(message: Warning | str, *_: object, **__: object) -> None:
            if str(message) not in said:
                said.add(str(message))
                complaints.print(as_options(str(message), typed), style="yellow", markup=False, soft_wrap=True)

        try:
            with warnings.catch_warnings(), announced_to(lambda sentence: remark(as_options(sentence, typed))):
                warnings.simplefilter("default", UserWarning)
                warnings.showwarning = say_once
                command(*args, **keywords)
        except ConvRFMError as error:
            _show_error(as_options(error.sentence, typed))
            raise typer.Exit(2) from error
        except OSError as error:
            _show_error(f"{error}. Look at the path and its rights.")
            raise typer.Exit(2) from error
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and "memory" not in str(error).partition("\n")[0]:
                raise
            fewer, smaller = (_among(names, typed) for names in (FEWER, SMALLER))
            _show_error(
                f"there is not enough memory for this. Take fewer images{fewer}, or smaller ones{smaller}. {error}"
            )
            raise typer.Exit(2) from error
        except KeyboardInterrupt as interrupt:
            complaints.print("interrupted.")
            raise typer.Exit(130) from interrupt

    return wrapped


def as_typed(command: Callable[..., None]) -> dict[str, str]:
    """What the parameters of a command are called in Python, and how they are typed: `--image-size`, `DATA`."""
    typed = {}
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        told = getattr(parameter.annotation, "__metadata__", (None,))[0]
        plain = name.upper() if isinstance(told, ArgumentInfo) else f"--{name.replace('_', '-')}"
        declared = [told.default, *(told.param_decls or ())] if isinstance(told, OptionInfo) else []
        shown = next((each for each in declared if isinstance(each, str) and each.startswith("--")), plain)
        typed[OTHERWISE_IN_PYTHON.get(name, name)] = typed[name] = shown
    return typed


def as_options(sentence: str, typed: Mapping[str, str]) -> str:
    """A sentence about arguments of Python as one about what is typed.

    Args:
        sentence: of the library; names in quotes stay as they are.
        typed: for every name in Python how it is typed.

    >>> typed = {"image_size": "--image-size", "cv": "--cv", "deep": "--deep"}
    >>> as_options("cv must be an integer. Pass image_size=(6, 8), or cv=None; or leave out deep=True.", typed)
    '--cv must be an integer. Pass --image-size 6, or no --cv; or leave out --deep.'
    """
    for name, option in typed.items():
        plain = rf"(?<![\w\"'-]){name}"
        sentence = re.sub(rf"{plain}=(?:None|False)\b", f"no {option}", sentence)
        sentence = re.sub(rf"{plain}=True\b", option, sentence)
        sentence = re.sub(rf"{plain}=\(?([\"']?)([\w.]+)\1(, \w+\))?", rf"{option} \2", sentence)
        sentence = re.sub(rf"{plain}=(?=[\"'])", f"{option} ", sentence)
        sentence = re.sub(rf"(^|[.:] ){name}(?= (?:must|belongs|allows|goes)\b)", rf"\1{option}", sentence)
        if "_" in name:
            sentence = re.sub(rf"{plain}\b(?![\"'])", option, sentence)
    return sentence


def _among(names: Iterable[str], typed: Mapping[str, str]) -> str:
    """Those of the options that the command has, in parentheses."""
    there = ", ".join(typed[name] for name in names if name in typed)
    return f" ({there})" if there else ""


def _show_error(sentence: str) -> None:
    complaints.print("error:", style="bold red", end=" ")
    complaints.print(sentence, markup=False, highlight=False, soft_wrap=True)
