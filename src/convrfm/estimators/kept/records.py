"""Rounds and layers as plain values: the lines of `history_`, and what files say of them."""

import math
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from ..given.targets import Quality
from ..learning.judge import Judge
from ..learning.layers import FittedLayer
from ..learning.rounds import Round
from ..solving.solver import Metric


def history_of(fits: Sequence[Sequence[FittedLayer]], *, deep: bool) -> list[dict[str, Any]]:
    """A record for each round: of which candidate, where there are several, and of which layer, where it is deep."""
    records = []
    for candidate, layers in enumerate(fits, 1):
        for number, of_layer in enumerate(records_by_layer(layers), 1):
            kernel = repr(layers[number - 1].kernel)
            place: dict[str, Any] = {"candidate": candidate, "kernel": kernel} if len(fits) > 1 else {}
            place |= {"layer": number} if deep else {}
            records += [place | record for record in of_layer]
    return records


def records_by_layer(layers: Sequence[FittedLayer]) -> list[list[dict[str, Any]]]:
    """Every round of every layer; at round 0 also what each way of centering the images reached."""
    records = [[record_of(round_) for round_ in layer.rounds] for layer in layers]
    for before, after in zip(layers, records[1:], strict=False):
        after[0]["centerings"] = centering_records(before)
    return records


def centering_records(layer: FittedLayer) -> list[dict[str, Any]]:
    """How good the next layer's fixed kernel is with each way of centering this layer's features."""
    return [{"centering": way, **(judged.figures if judged else {})} for way, judged in layer.qualities.items()]


def record_of(round_: Round) -> dict[str, Any]:
    """One round."""
    judge = round_.judge.value
    record: dict[str, Any] = {"iteration": round_.iteration, "ridge": round_.ridge, "judge": judge}
    for name, measured in {"loo": round_.loo, "train": round_.train, judge: round_.judged}.items():
        record |= {f"{name}_{figure}": value for figure, value in measured.figures.items()}
    record["path"] = [{"ridge": ridge, **measured.figures} for ridge, measured in round_.path.items()]
    if round_.shrinkage:
        record["shrinkage"] = round_.shrinkage
    if round_.train.accuracy is not None:
        record["temperature"] = round_.temperature
    return record | {"seconds": round_.seconds}


def round_from_record(
    record: dict[str, Any],
    metric: Metric,
    patch_entries: int,
    coef: Float[Tensor, "j k"],
    intercept: Float[Tensor, " k"] | None,
    agop_coef: Float[Tensor, "j k"],
    amplitude: Float[Tensor, " k"],
) -> Round:
    """The round of which `record_of` made a record."""

    def measured(name: str) -> Quality:
        return Quality(record.get(f"{name}_accuracy"), record[f"{name}_error"])

    _check_numbers(record)
    path = {at["ridge"]: Quality.from_figures(at) for at in record["path"]}
    if record["ridge"] not in path:
        raise ValueError(f"the ridge {record['ridge']!r} of a round is not on its path")
    return Round(
        iteration=record["iteration"],
        metric=metric,
        patch_entries=patch_entries,
        coef=coef,
        intercept=intercept,
        agop_coef=agop_coef,
        ridge=record["ridge"],
        train=measured("train"),
        loo=measured("loo"),
        judge=Judge(record["judge"]),
        path=path,
        temperature=record.get("temperature", 1.0),
        amplitude=amplitude,
        seconds=record["seconds"],
        shrinkage=record.get("shrinkage", 0.0),
    )


def _check_numbers(record: dict[str, Any]) -> None:
    """Raise `ValueError` unless all that a file says of a round is a number in its range."""
    values = [value for name, value in record.items() if name not in ("judge", "path")]
    values += [value for at in record["path"] for value in at.values()]
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ValueError(f"a round holds {value!r}, which is no number from 0 on")
    if record.get("temperature") == 0 or not isinstance(record["iteration"], int):
        raise ValueError("a round has a temperature of 0, or its number is no integer")
