"""The report of a measurement: layers in forward order, as a table, as JSON, on disk."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from ..errors import InputError, MissingDependencyError
from ..quantities import counted
from ..storage.tables import table_bytes
from .layer_report import LayerReport
from .pictures import correlation_bars, matrix_panels
from .saving import load_folder, save_folder, write_text
from .skipped import Skipped
from .verdict import as_html, as_text, verdict

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 2


@dataclass(frozen=True)
class Report:
    """What `cnfa.measure` found.

    Attributes:
        layers: In the order in which the network runs them.
        network: Class of the network.
        n_images: How many images were measured.
        n_outputs: k.
        probes: Number of random-sign probes; None if the sum over outputs is exact.
        skipped: What ran and was not measured, each with its reason.
        positions: At most how many positions of each product's result were drawn; None for all.
        draws: Digest of the state of the generator that probes and positions came from: reports in which it is the same
            drew the same. Merged reports have those of all.
        resampled: What intervals are over: "images", or "batches" where images depend on each other; of merged reports
            "reports", which are left out one at a time.
        warnings: What must be read before any number.
    """

    layers: tuple[LayerReport, ...]
    network: str
    n_images: int
    n_outputs: int
    probes: int | None
    skipped: tuple[Skipped, ...] = ()
    positions: int | None = None
    draws: tuple[str, ...] = ()
    resampled: str = "images"
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> LayerReport:
        """The layer of this name."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise InputError(f"the report has no layer {name!r}; it has {', '.join(layer.name for layer in self.layers)}.")

    @property
    def verdict(self) -> str:
        """In how many layers the correlation exceeds its rotation control, in words."""
        return verdict(self.layers)

    @property
    def extent(self) -> str:
        """What was measured, in words."""
        outputs = counted(self.n_outputs, "output")
        probes = "" if self.probes is None else f"{counted(self.probes, 'probe')} of "
        positions = "" if self.positions is None else f", at most {self.positions} positions of each result"
        return f"{counted(self.n_images, 'image')}, {probes}{outputs}{positions}, {counted(len(self.layers), 'layer')}"

    def __repr__(self) -> str:
        """At most ten lines: the verdict, and the first layers."""
        return as_text(f"{self.network}: {self.extent}", self.layers, self.skipped, self.warnings)

    def _repr_html_(self) -> str:
        return as_html(f"{self.network}: {self.extent}", self.layers, self.skipped, self.warnings)

    def __iter__(self) -> Iterator[LayerReport]:
        """Layers in forward order."""
        return iter(self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the tensors, as plain data; a correlation that does not exist is nan."""
        return {
            "format": FORMAT,
            "network": self.network,
            "n_images": self.n_images,
            "n_outputs": self.n_outputs,
            "probes": self.probes,
            "positions": self.positions,
            "draws": list(self.draws),
            "resampled": self.resampled,
            "layers": [layer.to_dict() for layer in self.layers],
            "skipped": [asdict(skipped) for skipped in self.skipped],
            "warnings": list(self.warnings),
        }

    def to_json(self, path: str | Path) -> None:
        """Write `to_dict` as JSON, with null in the place of nan."""
        write_text(Path(path), json.dumps(without_nan(self.to_dict()), indent=1) + "\n")

    def to_frame(self) -> "pd.DataFrame":
        """One row per layer (indexed by name): `trained_cosine`, `rotated_pearson`, ..., with their errors.

        What was left out follows, with the reason in a column `left_out`.

        Raises:
            MissingDependencyError: Without pandas.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingDependencyError("to_frame needs pandas: pip install pandas.") from error
        return pd.DataFrame(self._rows()).set_index("name")

    def save(self, folder: str | Path) -> None:
        """Write `report.json` and `layers.safetensors` (W and G of every layer) into a folder."""
        save_folder(Path(folder), without_nan(self.to_dict()), self.layers)

    def to_csv(self) -> str:
        """The rows of `to_frame` as comma-separated values."""
        return csv_text(self._rows())

    def _rows(self) -> list[dict[str, Any]]:
        left_out = [{"name": each.name, "kind": each.kind, "left_out": each.reason} for each in self.skipped]
        return [*map(layer_row, self.layers), *left_out]

    def plot(self, layer: str | None = None, measure: str = "pearson") -> Figure:
        """The bars of the paper's Figure 1A, or of one layer the matrices of Figure 1B.

        Args:
            layer: Name of a layer with one group and small patches; None for the bars of all layers.
            measure: What the bars show, "pearson" or "cosine".
        """
        return correlation_bars(self.layers, measure) if layer is None else matrix_panels(self[layer])

    @classmethod
    def load(cls, folder: str | Path) -> "Report":
        """Read a report that `save` wrote.

        Raises:
            ModelFileError: If the folder does not hold one, or one of another format.
        """
        data, layers = load_folder(Path(folder), FORMAT)
        skipped = tuple(Skipped(**entry) for entry in data.get("skipped", ()))
        return cls(
            layers=layers,
            network=data["network"],
            n_images=data["n_images"],
            n_outputs=data["n_outputs"],
            probes=data["probes"],
            skipped=skipped,
            positions=data.get("positions"),
            draws=tuple(data.get("draws", ())),
            resampled=data.get("resampled", "images"),
            warnings=tuple(data.get("warnings", ())),
        )


def layer_row(layer: LayerReport) -> dict[str, Any]:
    """One flat row of a table."""
    row: dict[str, Any] = {
        "name": layer.name,
        "kind": layer.kind,
        "groups": layer.groups,
        "patch_shape": layer.patch_shape,
        "rows": layer.filters.shape[1],
        "uses": layer.uses,
        "final": layer.final,
    }
    row |= {f"effective_rank_{name}": rank for name, rank in layer.effective_ranks.items()}
    for control, comparison in layer.correlations.to_dict().items():
        for measure, estimate in (comparison or {}).items():
            if estimate is None:
                continue
            column = f"{control}_{measure}"
            row[column] = estimate["value"]
            row |= {f"{column}_{key}": estimate[key] for key in ("bias", "standard_error") if estimate[key] is not None}
            if estimate["interval"] is not None:
                row[f"{column}_low"], row[f"{column}_high"] = estimate["interval"]
    return row


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """A table with a column for every key of any row."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return table_bytes(columns, ([row.get(column) for column in columns] for row in rows)).decode()


def without_nan(data: Any) -> Any:
    """The same data with None in the place of nan, which JSON does not have."""
    if isinstance(data, dict):
        return {key: without_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [without_nan(value) for value in data]
    return None if isinstance(data, float) and data != data else data
