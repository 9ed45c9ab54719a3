"""Layers of a measured network as lines of a record: the correlation of CNFM and AGOP beside its controls."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan, nan
from statistics import median
from typing import Any

from ..cnfa import LayerReport, Report
from ..cnfa.estimates import Estimate
from ..cnfa.report import without_nan

CLEAR = 2.0  # standard deviations of the control


@dataclass(frozen=True)
class LayerLine:
    """One layer of one network. Pearson correlations of CNFM and AGOP, but for the cosine; NaN where one is undefined."""

    layer: str
    d: int
    rows: int
    groups: int
    cosine: float
    interval: Sequence[float]
    pearson: float
    rotated: float
    rotated_deviation: float
    excess: float
    pearson_half: float
    rotated_half: float
    rotated_half_deviation: float
    fresh: float
    fresh_cnfm: float
    rank_share: float

    @property
    def cells(self) -> tuple[object, ...]:
        """Its row of the table."""
        low, high = map(or_dash, self.interval)
        return (
            *(self.layer, self.d, self.rows, self.groups, f"{or_dash(self.cosine)} [{low}, {high}]"),
            *(
                or_dash(self.pearson),
                f"{or_dash(self.rotated)} ± {or_dash(self.rotated_deviation)}",
                or_dash(self.excess, "+.1f"),
            ),
            *(or_dash(self.pearson_half), f"{or_dash(self.rotated_half)} ± {or_dash(self.rotated_half_deviation)}"),
            *(or_dash(self.fresh), or_dash(self.fresh_cnfm), or_dash(self.rank_share, ".2f")),
        )

    @property
    def clear(self) -> bool | None:
        """Whether it exceeds the control by more than two of its deviations; None where that is undefined."""
        return higher(self.excess, CLEAR)


def or_dash(value: float, form: str = ".3f") -> str:
    """A number, or a dash where it is undefined."""
    return "-" if isnan(value) else f"{value:{form}}"


def higher(value: float, other: float) -> bool | None:
    """Whether a value is above another; None where one of them is undefined."""
    return None if isnan(value) or isnan(other) else value > other


def middle(layers: Sequence[LayerLine], name: str) -> float:
    """The median over the layers that have this number; NaN where none has."""
    found = [value for layer in layers if not isnan(value := getattr(layer, name))]
    return median(found) if found else nan


def counted(report: Report) -> list[LayerReport]:
    """The layers whose correlation is not 1 by construction."""
    return [layer for layer in report.layers if not layer.final]


def layer_lines(report: Report) -> list[dict[str, Any]]:
    """All that count, in forward order, as plain values; None where one is undefined."""
    return [without_nan(asdict(layer_line(layer))) for layer in counted(report)]


def read_layers(lines: Sequence[Mapping[str, Any]]) -> list[LayerLine]:
    """The inverse of `layer_lines`, also after a way through JSON."""
    return [
        LayerLine(
            **{name: nan if value is None else value for name, value in line.items()}
            | {"interval": [nan if end is None else end for end in line["interval"]]}
        )
        for line in lines
    ]


def layer_line(layer: LayerReport) -> LayerLine:
    """What is said of a layer; its report must have all controls."""
    trained, rotated = layer.correlations.trained, layer.correlations.rotated
    initial, moved = layer.correlations.initial, layer.correlations.initial_cnfm
    assert rotated is not None and initial is not None and moved is not None
    assert trained.pearson_half is not None and rotated.pearson_half is not None
    return LayerLine(
        layer=layer.name,
        d=layer.filters.shape[2],
        rows=layer.filters.shape[1],
        groups=layer.groups,
        cosine=trained.cosine.value,
        interval=trained.cosine.interval or (nan, nan),
        pearson=trained.pearson.value,
        rotated=rotated.pearson.value,
        rotated_deviation=_deviation(rotated.pearson),
        excess=excess(layer),
        pearson_half=trained.pearson_half.value,
        rotated_half=rotated.pearson_half.value,
        rotated_half_deviation=_deviation(rotated.pearson_half),
        fresh=initial.pearson.value,
        fresh_cnfm=moved.pearson.value,
        rank_share=layer.effective_ranks["delta"] / (layer.filters.shape[1] * layer.groups),
    )


def excess(layer: LayerReport) -> float:
    """Pearson correlation less that of the rotation control, in standard deviations of the control; NaN if these are 0.

    Both are taken with the same G: where it is probed, before the correlation is corrected for that.
    """
    trained, rotated = layer.correlations.trained.pearson, layer.correlations.rotated
    assert rotated is not None
    plain = trained.value + (trained.bias or 0.0)
    return (plain - rotated.pearson.value) / (_deviation(rotated.pearson) or nan)


def _deviation(control: Estimate) -> float:
    return nan if control.standard_error is None else control.standard_error
