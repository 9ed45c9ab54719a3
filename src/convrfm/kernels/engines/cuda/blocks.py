"""How programs cut their work, and what of it is kept on disk for a card."""

import json
import logging
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

THREADS = 32  # of a warp


@dataclass(frozen=True)
class Blocks:
    """One way to cut.

    Attributes:
        rows: of a strip, at most. They decide in which order the readout's sum is taken, and so the last bits.
        lanes: pairs of images that a program takes, those of one image x with some z; each is computed by itself.
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

    def of_warps(self, warps: int) -> "Blocks":
        """The same with so many warps, a thread for each lane."""
        return replace(self, lanes=THREADS * warps, warps=warps)


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

    def of_warps(self, warps: dict[str, int]) -> "Cuts":
        """The same with so many warps for each program that is named."""
        return replace(self, **{program: getattr(self, program).of_warps(count) for program, count in warps.items()})


PROGRAMS = tuple(field.name for field in fields(Cuts))
WARPS = (4, 2, 1, 8)  # to choose from
MEASURED = Cuts(Blocks(9, 128, 4), Blocks(12, 128, 4), Blocks(2, 128, 4))  # on an H100 and an H200


def cuts_file() -> Path:
    """Where warps are kept, by the names of cards: in the folder that CONVRFM_CACHE names, or the user's own."""
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "convrfm"
    return Path(os.environ.get("CONVRFM_CACHE") or own) / "cuda_blocks.json"


def kept_warps(card: str) -> dict[str, int] | None:
    """How many warps of each program are kept for a card; None for none. Of what cannot be read it is said."""
    warps = _kept_for_all().get(card)
    if warps is None:
        return None
    if isinstance(warps, dict) and warps.keys() == set(PROGRAMS) and all(count in WARPS for count in warps.values()):
        return warps
    _note(f"what {cuts_file()} keeps for {card} is damaged, and measured again")
    return None


def keep_warps(card: str, warps: dict[str, int]) -> None:
    """Keep them beside those of other cards, in a file that appears whole; where that cannot be, it is said."""
    file = cuts_file()
    whole = _kept_for_all() | {card: warps}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as partial:
            json.dump(whole, partial)
        Path(partial.name).replace(file)
    except OSError as error:
        _note(f"block sizes of the GPU are not kept, and measured in every process: {error}")


def _kept_for_all() -> dict[str, Any]:
    try:
        return dict(json.loads(cuts_file().read_text(encoding="utf-8")).items())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        _note(f"{cuts_file()} cannot be read, and is written anew: {error}")
        return {}


def _note(sentence: str) -> None:
    logging.getLogger("convrfm").warning(f"{sentence}.")
