"""How programs cut their work, as was measured on a card."""

import functools
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch


@dataclass(frozen=True)
class Blocks:
    """One way to cut.

    Attributes:
        rows: of a strip, at most.
        lanes: pairs of images that a program takes, those of one image x with some z.
        warps: of 32 threads.
    """

    rows: int
    lanes: int
    warps: int

    @property
    def constants(self) -> dict[str, int | bool]:
        """As the strip programs are launched with them."""
        return {"ROWS": self.rows, "LANES": self.lanes, "num_warps": self.warps, "enable_fp_fusion": True}

    def within(self, rows: int) -> "Blocks":
        """The same for a grid of so many rows, cut as evenly as can be."""
        return replace(self, rows=-(-rows // -(-rows // self.rows)))


@dataclass(frozen=True)
class Cuts:
    """How each program cuts.

    Attributes:
        forward: where several layers, or the last, are walked at once.
        step: where one layer is.
        backward: the adjoint of one.
    """

    forward: Blocks
    step: Blocks
    backward: Blocks


MEASURED = Cuts(Blocks(9, 128, 4), Blocks(12, 128, 4), Blocks(2, 128, 4))  # on an H100 and an H200


def cuts_here() -> Cuts:
    """What `python -m benchmarks.gpu.tuning` found for this card; where it was not asked, what serves others."""
    return cuts_of(torch.cuda.get_device_name(), cuts_file()) if torch.cuda.is_available() else MEASURED


def cuts_file() -> Path:
    """Where that is kept, by the names of cards: in the folder that CONVRFM_CACHE names, or the user's own."""
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "convrfm"
    return Path(os.environ.get("CONVRFM_CACHE") or own) / "cuda_blocks.json"


@functools.cache
def cuts_of(card: str, file: Path) -> Cuts:
    """What a file keeps for a card. They decide the speed alone: what cannot be read is as good as absent."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))[card]
        return Cuts(**{program: Blocks(*numbers) for program, numbers in kept.items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return MEASURED
