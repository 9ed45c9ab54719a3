"""Layers of a measured network as lines of a record: the correlation of CNFM and AGOP beside its controls."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..cnfa import LayerReport, Report

CLEAR = 2  # standard deviations of the control


@dataclass(frozen=True)
class LayerLine:
    """One layer of one network. Pearson correlations of CNFM and AGOP, but for the cosine."""

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
        low, high = self.interval
        return (
            *(self.layer, self.d, self.rows, self.groups, f"{self.cosine:.3f} [{low:.3f}, {high:.3f}]"),
            *(f"{self.pearson:.3f}", f"{self.rotated:.3f} ± {self.rotated_deviation:.3f}", f"{self.excess:+.1f}"),
            *(f"{self.pearson_half:.3f}", f"{self.rotated_half:.3f} ± {self.rotated_half_deviation:.3f}"),
            *(f"{self.fresh:.3f}", f"{self.fresh_cnfm:.3f}", f"{self.rank_share:.2f}"),
        )


def counted(report: Report) -> list[LayerReport]:
    """The layers whose correlation is not 1 by construction."""
    return [layer for layer in report.layers if not layer.final]


def layer_lines(report: Report) -> list[dict[str, Any]]:
    """All that count, in forward order, as plain values."""
    return [asdict(layer_line(layer)) for layer in counted(report)]


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
        interval=trained.cosine.interval or (float("nan"), float("nan")),
        pearson=trained.pearson.value,
        rotated=rotated.pearson.value,
        rotated_deviation=rotated.pearson.standard_error or float("nan"),
        excess=excess(layer),
        pearson_half=trained.pearson_half.value,
        rotated_half=rotated.pearson_half.value,
        rotated_half_deviation=rotated.pearson_half.standard_error or float("nan"),
        fresh=initial.pearson.value,
        fresh_cnfm=moved.pearson.value,
        rank_share=layer.effective_ranks["delta"] / (layer.filters.shape[1] * layer.groups),
    )


def excess(layer: LayerReport) -> float:
    """Pearson correlation less that of the rotation control, in standard deviations of the control.

    Both are taken with the same G: where it is probed, before the correlation is corrected for that.
    """
    trained, rotated = layer.correlations.trained.pearson, layer.correlations.rotated
    assert rotated is not None
    plain = trained.value + (trained.bias or 0.0)
    return (plain - rotated.pearson.value) / (rotated.pearson.standard_error or float("nan"))
