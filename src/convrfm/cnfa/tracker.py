"""The ansatz along training: measured every so many steps, kept on disk, resumable."""

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ..errors import ModelFileError
from ..kernels.integers import positive_integer
from ..networks.weights import read_weights, write_weights
from ..storage.lines import as_line, lines_from
from .layers import unwrapped
from .measuring import DEFAULT_BUDGET, SAME_WEIGHTS, measure
from .report import Report, csv_text, layer_row, without_nan
from .saving import write_text
from .target import Head

RECORDS = "track.jsonl"
INITIAL = "initial.safetensors"


@runtime_checkable
class ScalarWriter(Protocol):
    """What is needed of `torch.utils.tensorboard.SummaryWriter`."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Note one number."""


class Tracker:
    """Measures a network along its training.

    The first measurement also keeps the weights as the initial ones, so that every later one has its controls.

    Args:
        network: The network in training; it is measured in evaluation mode and left as it was.
        images: The same images at every step, `(n, ...)`.
        every: Measure at steps that are multiples of this.
        folder: Where records (`track.jsonl`, one line per step) and initial weights are kept; None to keep them in
            memory. A folder that an earlier run left is continued: its initial weights stay the initial ones, and
            records of steps from the resumed one on are replaced. What is damaged there is refused.
        writer: A TensorBoard `SummaryWriter` for the correlations, or None.
        layers: As in `measure`, like the arguments below.
        probes: Likewise.
        head: Likewise.
        seed: Of the generator that each measurement starts anew, so that probes and rotations are alike at every step.
        rotations: Likewise.
        resamples: Likewise; no intervals by default.
        memory_budget: Likewise.

    Attributes:
        records: One per measurement: `step`, and for each layer a row as in `Report.to_frame`.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
        >>> tracker = Tracker(network, torch.randn(3, 1, 4, 4), every=10)
        >>> for step in range(21):
        ...     _ = tracker.update(step)  # after the optimizer's step
        >>> [record["step"] for record in tracker.records]
        [0, 10, 20]
    """

    def __init__(
        self,
        network: nn.Module,
        images: Tensor,
        every: int,
        folder: str | Path | None = None,
        *,
        writer: ScalarWriter | None = None,
        layers: Sequence[str] | None = None,
        probes: int | None = None,
        head: Head | None = None,
        seed: int = 0,
        rotations: int = 4,
        resamples: int = 0,
        memory_budget: int = DEFAULT_BUDGET,
    ) -> None:
        self.network = network
        self.images = images
        self.every = positive_integer("every", every)
        self.folder = None if folder is None else Path(folder)
        self.writer = writer
        self.seed = seed
        self.options: dict[str, Any] = {
            "layers": layers,
            "probes": probes,
            "head": head,
            "rotations": rotations,
            "resamples": resamples,
            "memory_budget": memory_budget,
        }
        self.initial, self.records = _resumed(self.folder)

    def update(self, step: int) -> Report | None:
        """Measure if the step is due; to be called once per training step.

        Returns:
            The report of this step, or None if it was not due.
        """
        if step % self.every:
            return None
        if self.initial is None:
            self.initial = {name: value.clone() for name, value in unwrapped(self.network).state_dict().items()}
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
                write_weights(self.folder / INITIAL, self.initial)
        report = self.measured()
        self._record(step, report)
        return report

    def measured(self) -> Report:
        """The report of the network as it stands, beside its initial weights; nothing is recorded."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", re.escape(SAME_WEIGHTS))  # as they are at first
            return measure(
                self.network,
                self.images,
                initial=self.initial,
                generator=torch.Generator().manual_seed(self.seed),
                **self.options,
            )

    def to_csv(self, path: str | Path) -> None:
        """Write one line per step and layer."""
        rows = [{"step": record["step"], **row} for record in self.records for row in record["layers"]]
        write_text(Path(path), csv_text(rows))

    def _record(self, step: int, report: Report) -> None:
        rows = [without_nan(layer_row(layer)) for layer in report.layers]
        earlier = [record for record in self.records if record["step"] < step]
        self.records = [*earlier, {"step": step, "layers": rows}]
        if self.folder is not None:
            write_text(self.folder / RECORDS, "".join(map(as_line, self.records)))
        if self.writer is not None:
            for layer in report.layers:
                for control, comparison in layer.correlations.to_dict().items():
                    for measure_name in () if comparison is None else ("cosine", "pearson"):
                        value = comparison[measure_name]["value"]
                        self.writer.add_scalar(f"cnfa/{control}_{measure_name}/{layer.name}", value, step)


def _resumed(folder: Path | None) -> tuple[Mapping[str, Tensor] | None, list[dict[str, Any]]]:
    if folder is None or not (folder / INITIAL).exists():
        return None, []
    try:
        initial = read_weights(folder / INITIAL)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelFileError(
            f"{folder} does not hold a tracker's {RECORDS} and {INITIAL}: {error} Copy them again, or choose another folder."
        ) from error
    file = folder / RECORDS
    text = file.read_bytes() if file.exists() else b""
    return initial, lines_from(text, file, "Delete it: its step is then left out of the records.")
