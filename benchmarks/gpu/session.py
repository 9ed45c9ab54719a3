"""One run on one card: where it is, how large things are, and what is written down."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from convrfm.kernels.infinite import EngineName

Line = dict[str, Any]


@dataclass
class Session:
    """What every part of the run is told.

    Attributes:
        device: a GPU, or under Triton's interpreter the CPU.
        tiny: sizes that an interpreter bears.
        data: the folder of real images; None where there is none.
        lines: a file of JSON lines, to which each finished one is added at once.
    """

    device: torch.device
    tiny: bool
    data: Path | None
    lines: Path
    deadline: float = field(default=float("inf"))

    @property
    def engine(self) -> EngineName:
        """What kernels are computed with."""
        return "auto" if self.device.type == "cuda" else "cuda"

    @property
    def left(self) -> float:
        """Seconds until this part must end."""
        return self.deadline - time.monotonic()

    @property
    def memory(self) -> int:
        """Bytes of the device at most in use since the last call."""
        if self.device.type != "cuda":
            return 0
        peak = torch.cuda.max_memory_allocated(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        return peak

    def note(self, line: Line) -> None:
        """Write one line down, and say it."""
        with self.lines.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(" ".join(f"{name}={_short(value)}" for name, value in line.items()), flush=True)

    def run(self, name: str, part: Callable[["Session"], Iterator[Line]], seconds: float) -> None:
        """All lines of a part, as far as its seconds reach; what fails is a line too."""
        start = time.monotonic()
        self.deadline = start + seconds
        try:
            for line in part(self):
                self.note({"part": name, **line})
                if self.left < 0:
                    self.note({"part": name, "name": "time is up"})
                    break
        except Exception as error:  # the other parts are still worth running
            self.note({"part": name, "name": "failed", "error": f"{type(error).__name__}: {error}"[:2000]})
        self.note({"part": name, "name": "seconds", "seconds": time.monotonic() - start})


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
