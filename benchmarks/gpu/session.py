"""One run on one card: where it is, how large things are, and what is written down."""

import json
import math
import time
from dataclasses import dataclass
from importlib import import_module
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
        deadline: when the part that runs has to end, by `time.monotonic`.
    """

    device: torch.device
    tiny: bool
    data: Path | None
    lines: Path
    deadline: float = math.inf

    @property
    def engine(self) -> EngineName:
        """What kernels are computed with."""
        return "auto" if self.device.type == "cuda" else "cuda"

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

    def run(self, name: str, seconds: float) -> None:
        """All lines of the part of this name, as far as its seconds reach; what fails is a line too."""
        start = time.monotonic()
        self.deadline = start + seconds
        try:
            part = getattr(import_module(f".{name}", __package__), name)
            for line in part(self):
                self.note({"part": name, **line})
                if time.monotonic() > self.deadline:
                    self.note({"part": name, "name": "time is up"})
                    break
        except Exception as error:  # the other parts are still worth running
            self.note({"part": name, "name": "failed", "error": f"{type(error).__name__}: {error}"[:2000]})
        self.note({"part": name, "name": "seconds", "seconds": time.monotonic() - start})


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
