"""What the meter costs, as ratios within one run."""

import json
import subprocess
import sys
from pathlib import Path

from .environments import ROOT, variables
from .work_meter import ALONE

Found = dict[str, dict[str, float]]


def meter(data: Path | None) -> Found:
    """Every case, one after the other; SqueezeNet where a folder with weights/ and imagenet_photos/ is given."""
    found = {case: _in_a_process(case) for case in ALONE}
    return found if data is None else {**found, "squeezenet": _in_a_process("squeezenet", str(data))}


def _in_a_process(case: str, *data: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.work_meter", case, *data]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=variables("meter"))
    return json.loads(done.stdout.splitlines()[-1])


def rows(found: Found) -> list[tuple[str, str, str]]:
    """What was measured beside what was asked of it."""
    meter, unfolded = found["four_layers_meter"], found["four_layers_unfolded"]
    probed, exact, whole = found["resnet18_probed"], found["resnet18_exact"], found["resnet18_unfolded"]
    lines = [
        (
            "ResNet-20, 100 images, 10 exact outputs / one training step on them",
            f"{found['training_step']['ratio']:.1f}",
            "at most 8",
        ),
        (
            "the same with 8 rotations and 500 resamples",
            f"{found['training_step']['ratio_with_controls_and_intervals']:.1f}",
            "",
        ),
        (
            "4 layers of 64 channels, 64 images of 32 x 32, 10 outputs: unfolded / meter, time",
            f"{unfolded['seconds'] / meter['seconds']:.0f} ({unfolded['seconds']:.1f} s / {meter['seconds']:.2f} s)",
            "at least 10",
        ),
        (
            "the same, memory",
            f"{unfolded['peak_bytes'] / meter['peak_bytes']:.1f} "
            f"({unfolded['peak_bytes'] / 2**20:.0f} MiB / {meter['peak_bytes'] / 2**20:.0f} MiB)",
            "at least 10",
        ),
        (
            "ResNet-18, 224 x 224, time an image: unfolded (scaled from 50 outputs) / meter with 16 probes",
            f"{whole['seconds_per_image'] / probed['seconds_per_image']:.0f} "
            f"({whole['seconds_per_image']:.0f} s / {probed['seconds_per_image']:.2f} s)",
            "at least 300",
        ),
        (
            "the same, meter with all 1000 outputs exactly (512 backward passes)",
            f"{whole['seconds_per_image'] / exact['seconds_per_image']:.0f} ({exact['seconds_per_image']:.1f} s)",
            "at least 10",
        ),
        (
            "ResNet-20, 100 images on a CPU: ten outputs in one vectorised backward pass / one at a time, time",
            f"{found['vectorised']['ratio']:.1f}",
            "",
        ),
    ]
    if "squeezenet" in found:
        lines.append(
            (
                "SqueezeNet 1.1, 224 x 224, 16 probes, 50 photos, with controls and intervals, one thread",
                f"{found['squeezenet']['seconds']:.0f} s",
                "under 120 s",
            )
        )
    return lines
