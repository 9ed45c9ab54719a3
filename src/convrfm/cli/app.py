"""The command line itself."""

import inspect
from importlib.metadata import version
from typing import Annotated, Any

import typer

from ..commands.terminal import say

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)


def _show_version(wanted: bool | None) -> None:
    if wanted:
        say(f"convrfm {version('convrfm')}")
        raise typer.Exit


@app.callback()
def _convrfm(
    _version: Annotated[
        bool | None,
        typer.Option("--version", help="Show the version and leave.", callback=_show_version, is_eager=True),
    ] = None,
) -> None:
    """Feature learning in convolutional networks: measured, and learned without back-propagation."""


def defaults_of(command: str) -> dict[str, Any]:
    """The values of a command's options where nobody changes them."""
    callbacks = [each.callback for each in app.registered_commands if each.callback is not None]
    found = next(callback for callback in callbacks if callback.__name__ == command)
    return {name: parameter.default for name, parameter in inspect.signature(found).parameters.items()}
