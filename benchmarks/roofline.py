"""Counted operations and bytes against the machine's measured peaks.

The time that a case would take at the peaks is its *roof*: the longest of its arithmetic (the fused engine's at the
peak of multiply-adds, the rest, matrix products, at theirs), of the bytes that the engine's loads and stores move at
the first-level cache's peak, and of its operands, each once, at the memory's.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from .cases import OURS, SMALL, Case, Entries
from .contest import compete
from .environments import ROOT, variables
from .inputs import PATCH_SIZE
from .work_convrfm import work_of
from .work_peak import PEAKS

SINGLE = 4  # bytes
CASES = {task: Case(task, 400, SMALL, 3, ()) for task in ("kernel", "metric", "agop")}


def roofline(rounds: int) -> dict[str, dict[str, Any]]:
    """The peaks, and for every case what it asks for, its time, and the fraction of its roof that it reaches."""
    entries: Entries = {case.name: case.settings(OURS) for case in CASES.values()}
    entries.update({peak: {"contestant": "peak", "peak": peak} for peak in PEAKS})
    seconds = {name: result["median_seconds"] for name, result in compete(entries, rounds).items()}
    peaks = {peak: amount / seconds[peak] for peak, (_, amount) in PEAKS.items()}
    return {
        "peaks": peaks,
        "cases": {case.name: placed(_asked(case), peaks, seconds[case.name]) for case in CASES.values()},
    }


def _asked(case: Case) -> dict[str, float]:
    """Operations and bytes of a case; K(x) is charged with each pair once."""
    settings = case.settings(OURS)
    command = [sys.executable, "-m", "benchmarks.count", json.dumps(settings)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=variables(OURS))
    of_pair = json.loads(done.stdout)
    in_place = {torch.ops.aten.baddbmm_: _operations_of_products}  # torch counts it only where it makes a new tensor
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        work_of(settings)()
    n, d = case.n, case.shape[0] * PATCH_SIZE**2
    pairs = n * n if case.task == "agop" else n * (n + 1) / 2
    pixels = n * case.shape[0] * case.shape[1] * case.shape[2]
    others = {"kernel": n * n, "metric": d * d + n * n, "agop": pixels + 2 * d * d + n * case.outputs}[case.task]
    return {
        "engine_operations": of_pair["operations"] * pairs,
        "product_operations": float(counter.get_total_flops()),
        "cache_bytes": of_pair["bytes"] * pairs,
        "memory_bytes": float(SINGLE * (pixels + others)),
    }


def _operations_of_products(total: Any, a: Sequence[int], b: Sequence[int], **_: Any) -> int:
    """Of a batch of matrix products, from their shapes."""
    batch, rows, inner = a
    return 2 * batch * rows * inner * b[2]


def placed(asked: dict[str, float], peaks: dict[str, float], seconds: float) -> dict[str, Any]:
    """What was asked for, under the roof that the peaks make."""
    bounds = {
        "arithmetic": asked["engine_operations"] / peaks["arithmetic"]
        + asked["product_operations"] / peaks["matrix products"],
        "cache": asked["cache_bytes"] / peaks["cache"],
        "memory": asked["memory_bytes"] / peaks["memory"],
    }
    roof = max(bounds, key=lambda bound: bounds[bound])
    return {
        **asked,
        "seconds": seconds,
        "roof": roof,
        "fractions": {name: bound / seconds for name, bound in bounds.items()},
    }
