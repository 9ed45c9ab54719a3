"""Settings of an experiment from plain values: as a file holds them, or as `--set` changes them."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from ..errors import InputError

S = TypeVar("S")
REPETITIONS = ("seeds", "draws")  # settings that count them


def plain_settings(settings: Any) -> dict[str, Any]:
    """The values by name, of a frozen dataclass."""
    return asdict(settings)


def read_settings(kind: type[S], values: Mapping[str, Any]) -> S:
    """The inverse of `plain_settings`, also after a way through JSON.

    Raises:
        InputError: if a value is not of its field's type.
    """
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"setting {where}: {first['msg']}; got {first['input']!r}.") from error


def changed(settings: S, changes: Mapping[str, str]) -> S:
    """The settings with other values here and there, checked against the types of their fields.

    Args:
        settings: a frozen dataclass of plain values.
        changes: values by the fields' names, as JSON; what is no JSON is text.

    Raises:
        InputError: if there is no such field, or a value is not of its type, or negative (none of these is a number below 0),
            or there would be no seed or draw.
    """
    values = plain_settings(settings)
    for name, text in changes.items():
        if name not in values:
            raise InputError(f"--set {name}: there is no such setting; the settings are {', '.join(values)}.")
        values[name] = _value(text)
    read = read_settings(type(settings), values)
    for name in changes:
        _refuse_out_of_range(name, plain_settings(read)[name])
    return read


def _refuse_out_of_range(name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for inner, each in value.items():
            _refuse_out_of_range(f"{name}.{inner}", each)
    elif isinstance(value, list | tuple):
        for each in value:
            _refuse_out_of_range(name, each)
    elif isinstance(value, int | float) and value < 0:
        raise InputError(f"--set {name} must not be negative; got {value}.")
    elif name.rpartition(".")[2] in REPETITIONS and value == 0:
        raise InputError(f"--set {name} must be at least 1; got 0.")


def refuse_others(setting: str, names: Collection[str], known: Collection[str]) -> None:
    """Refuse a setting that names what is not known, or something twice.

    Raises:
        InputError: if it does.
    """
    told = f"{setting} must be of {', '.join(known)}, each once"
    for number, name in enumerate(names):
        if name not in known or name in list(names)[:number]:
            raise InputError(f"{told}; got {name}{'' if name not in known else ' twice'}.")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
