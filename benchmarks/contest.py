"""One case: all contestants alive at once, taking turns, so that the machine's moods meet them alike."""

import json
import os
import statistics
import subprocess
from typing import Any

from .cases import Case
from .environments import ROOT, module_of, python_of, variables


def compete(case: Case, rounds: int) -> dict[str, Any]:
    """Median seconds, the ratios round by round to ours, and peak bytes above the imports, of every contestant."""
    load = os.getloadavg()[0]
    processes = {contestant: _start(case, contestant) for contestant in case.contestants}
    first = {contestant: _hear(p)["first_call"] for contestant, p in processes.items()}
    turns: dict[str, list[dict[str, float]]] = {contestant: [] for contestant in processes}
    for _ in range(rounds):
        for contestant, process in processes.items():
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            turns[contestant].append(_hear(process))
    for process in processes.values():
        process.communicate()
    ours = [turn["seconds"] for turn in turns[case.contestants[0]]]
    return {
        contestant: {
            "median_seconds": statistics.median(turn["seconds"] for turn in said),
            "median_ratio": statistics.median(turn["seconds"] / own for turn, own in zip(said, ours, strict=True)),
            "peak_bytes": max(turn["bytes"] for turn in said),
            "first_call_seconds": first[contestant],
            "load_before": load,
        }
        for contestant, said in turns.items()
    }


def _start(case: Case, contestant: str) -> "subprocess.Popen[str]":
    settings = json.dumps({**case.settings(), "contestant": contestant})
    command = [python_of(contestant), "-m", module_of(contestant), settings]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=variables())


def _hear(process: "subprocess.Popen[str]") -> dict[str, float]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a contestant stopped: {process.args!r}")
    return json.loads(line)
