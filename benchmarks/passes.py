"""What a report of the meter costs beside the passes through the network that it cannot do without."""

import json
import subprocess
import sys
from typing import Any

from .environments import ROOT, variables

COMPARED = ("resnet18", "mobilenet_v3_large", "vit_tiny", "convnext_tiny")
SIZES = ((96, 16), (224, 8))
LARGE = {"alexnet": "under 60 s", "vgg11": "under 120 s"}

Found = dict[str, dict[str, Any]]


def passes() -> Found:
    """Four networks at two sizes with one thread, and two with large linear layers with two threads."""
    cases = [(name, size, n, 1) for name in COMPARED for size, n in SIZES]
    cases += [(name, 224, 8, 2) for name in LARGE]
    return {f"{name} {size} {n} {threads}": _in_a_process(name, size, n, threads) for name, size, n, threads in cases}


def _in_a_process(*case: str | int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.work_passes", *map(str, case)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=variables("meter"))
    return json.loads(done.stdout.splitlines()[-1])


def rows(found: Found) -> list[tuple[str, ...]]:
    """Seconds of the processor, ratios to four passes, and memory."""
    lines: list[tuple[str, ...]] = []
    for case, result in found.items():
        name, size, n, threads = case.split()
        four, alone, report = (result[key][0] for key in ("passes", "without_controls", "report"))
        lines.append(
            (
                f"{name}, {n} images of {size} x {size}",
                threads,
                f"{four:.1f} s",
                f"{alone / four:.1f}",
                f"{report / four:.1f}",
                f"{report:.0f} s ({result['report'][1]:.0f} s)",
                f"{result['peak_bytes'] / 2**20:.0f} MiB",
                LARGE.get(name, "at most 4 times"),
            )
        )
    return lines
