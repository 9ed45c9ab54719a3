"""Layers as JSON and tensors, and back."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

from jaxtyping import Float
from torch import Tensor

from ...kernels.description import describe, from_description
from ...maths.random_filters import CENTERINGS, GAIN, RandomFeatures
from ...maths.windows import Window
from ..given.targets import Quality
from ..learning.folds import FoldRound
from ..learning.layers import FittedLayer, Keep
from ..learning.rounds import Round
from .records import centering_records, record_of, round_from_record

Tensors = dict[str, Float[Tensor, "..."]]
ROUND_TENSORS = ("coef", "amplitude")


def layers_to_file(layers: Sequence[FittedLayer]) -> tuple[list[dict[str, Any]], Tensors]:
    """Kernels, rounds and filters as JSON and tensors."""
    entries, tensors = [], {}
    for number, layer in enumerate(layers):
        records = [record_of(round_) for round_ in layer.rounds]
        entry: dict[str, Any] = {"kernel": describe(layer.kernel), "keep": layer.keep, "rounds": records}
        entry["intercepts"] = layer.kept.intercept is not None
        first = layer.rounds[0]
        entry["identity"] = first.patch_entries if first.metric is None else None
        for round_ in layer.rounds:
            for name in ROUND_TENSORS:
                tensors[f"{name}.{number}.{round_.iteration}"] = getattr(round_, name)
            if round_.metric is not None:
                tensors[f"feature_matrix.{number}.{round_.iteration}"] = round_.metric
            if round_.intercept is not None:
                tensors[f"intercept.{number}.{round_.iteration}"] = round_.intercept
            tensors |= _folds_to_file(round_, f"{number}.{round_.iteration}")
            if round_.agop_coef is not round_.coef:
                tensors[f"agop_coef.{number}.{round_.iteration}"] = round_.agop_coef
        if layer.features is not None:
            tensors[f"filters.{number}"] = layer.features.filters
            entry |= {
                "activation": layer.features.activation,
                "centering": layer.features.centering,
                "centerings": centering_records(layer),
            }
            if layer.features.mean is not None:
                tensors[f"feature_mean.{number}"] = layer.features.mean
        entries.append(entry)
    return entries, tensors


def _folds_to_file(round_: Round, place: str) -> Tensors:
    tensors = {f"fold_coef.{place}.{i}": fold.agop_coef for i, fold in enumerate(round_.folds)}
    return tensors | {
        f"fold_metric.{place}.{i}": fold.metric for i, fold in enumerate(round_.folds) if fold.metric is not None
    }


def _folds_from_file(tensors: Tensors, place: str, like: Round) -> tuple[FoldRound, ...]:
    """The folds of a round, none where the file has none; raises `ValueError` unless they fit it."""
    folds = list[FoldRound]()
    while (coef := tensors.get(f"fold_coef.{place}.{len(folds)}")) is not None:
        metric = tensors.get(f"fold_metric.{place}.{len(folds)}")
        if coef.ndim != 2 or coef.shape[1] != like.coef.shape[1] or not 0 < len(coef) <= len(like.coef):
            raise ValueError(f"fold {len(folds)} of round {place} does not fit its outputs")
        if (metric is None) != (like.metric is None) or not (
            metric is None or metric.shape == (like.patch_entries, like.patch_entries)
        ):
            raise ValueError(f"fold {len(folds)} of round {place} has another metric than its round")
        folds.append(FoldRound(metric, coef))
    return tuple(folds)


def layers_from_file(
    entries: Sequence[dict[str, Any]], tensors: Tensors, rows: int | None, n_outputs: int | None
) -> list[FittedLayer]:
    """The layers that `layers_to_file` wrote.

    Args:
        entries: the JSON part.
        tensors: the tensors, with the training images `x_fit`.
        rows: how many coefficients an output must have; None for any number, the same in every round.
        n_outputs: how many outputs there must be; None for any number.

    Raises:
        ValueError: if shapes do not fit together.
        KeyError: if something is missing.
    """
    channels = tensors["x_fit"].shape[1]
    layers = []
    for number, entry in enumerate(entries):
        kernel = from_description(entry["kernel"])
        d = channels * kernel.window.size**2
        if entry["keep"] not in get_args(Keep):
            raise ValueError(f"which round layer {number} keeps is unknown: {entry['keep']!r}")
        rounds = [_round(record, tensors, number, (rows, n_outputs), d, entry) for record in entry["rounds"]]
        if len({round_.coef.shape for round_ in rounds}) != 1:
            raise ValueError(f"layer {number} has no rounds, or rounds of different numbers of coefficients")
        layer = FittedLayer(kernel, entry["keep"], tuple(rounds))
        if number + 1 < len(entries):
            features = _features(entry, tensors, number, kernel.window, d)
            qualities = {
                at["centering"]: Quality.from_figures(at) if "error" in at else None for at in entry["centerings"]
            }
            layer = replace(layer, features=features, qualities=qualities)
            channels = len(features.filters)
        layers.append(layer)
    return layers


def _round(
    record: dict[str, Any],
    tensors: Tensors,
    number: int,
    shape: tuple[int | None, int | None],
    d: int,
    entry: dict[str, Any],
) -> Round:
    """A round of this layer and its entry, with coefficients of this shape."""
    rows, n_outputs = shape
    place = f"{number}.{record['iteration']}"
    coef, amplitude = (tensors[f"{name}.{place}"] for name in ROUND_TENSORS)
    metric = tensors.get(f"feature_matrix.{place}")
    agop_coef = tensors.get(f"agop_coef.{place}", coef)
    intercept = tensors[f"intercept.{place}"] if entry["intercepts"] else None
    identity = entry["identity"] if record["iteration"] == 0 else None
    fits = identity == d if metric is None else identity is None and metric.shape == (d, d)
    if not fits or coef.ndim != 2 or coef.shape != (rows or len(coef), n_outputs or coef.shape[1]):
        raise ValueError(f"round {record['iteration']} does not fit the images, or patches of {d} entries")
    of_outputs = [amplitude] if intercept is None else [amplitude, intercept]
    if agop_coef.shape != coef.shape or any(each.shape != coef.shape[1:] for each in of_outputs):
        raise ValueError(f"round {record['iteration']} has tensors of different numbers of outputs")
    found = round_from_record(record, metric, d, coef, intercept, agop_coef, amplitude)
    return replace(found, folds=_folds_from_file(tensors, place, found))


def _features(entry: dict[str, Any], tensors: Tensors, number: int, window: Window, d: int) -> RandomFeatures:
    """What leads from this layer to the next."""
    activation, centering, filters = entry["activation"], entry["centering"], tensors[f"filters.{number}"]
    if activation not in GAIN:
        raise ValueError(f"the activation of layer {number} is unknown: {activation!r}")
    if centering not in CENTERINGS:
        raise ValueError(f"the centering of layer {number} is unknown: {centering!r}")
    mean = None if centering is None else tensors[f"feature_mean.{number}"]
    if filters.shape != (len(filters), d) or (mean is not None and mean.shape != filters.shape[:1]):
        raise ValueError(f"the filters of layer {number} do not fit patches of {d} entries")
    return RandomFeatures(filters, window, activation, centering, mean)
