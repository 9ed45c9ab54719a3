"""One contest: all contestants alive at once, taking turns, so that the machine's moods meet them alike."""

import json
import os
import statistics
import subprocess
from typing import Any

from .cases import Entries
from .environments import ROOT, module_of, python_of, variables


def compete(entries: Entries, rounds: int) -> dict[str, dict[str, Any]]:
    """Median seconds, the ratios turn by turn to the first, and peak bytes above the imports, of every contestant.

    Args:
        entries: what each contestant is told; its "contestant" says which program is meant.
        rounds: how often each takes its turn, after a warm-up.
    """
    load = os.getloadavg()[0]
    processes = {label: _start(settings) for label, settings in entries.items()}
    first = {label: _hear(process) for label, process in processes.items()}
    turns: dict[str, list[dict[str, float]]] = {label: [] for label in processes}
    for _ in range(rounds):
        for label, process in processes.items():
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            turns[label].append(_hear(process))
    for process in processes.values():
        process.communicate()
    yardstick = [turn["seconds"] for turn in next(iter(turns.values()))]
    return {
        label: {
            "median_seconds": statistics.median(turn["seconds"] for turn in said),
            "median_ratio": statistics.median(turn["seconds"] / own for turn, own in zip(said, yardstick, strict=True)),
            "share": first[label]["share"],
            "peak_bytes": max(turn["bytes"] for turn in said),
            "first_call_seconds": first[label]["first_call"],
            "load_before": load,
        }
        for label, said in turns.items()
    }


def _start(settings: dict[str, Any]) -> "subprocess.Popen[str]":
    contestant = settings["contestant"]
    command = [python_of(contestant), "-m", module_of(contestant), json.dumps(settings)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=variables(contestant))


def _hear(process: "subprocess.Popen[str]") -> dict[str, float]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a contestant stopped: {process.args!r}")
    return json.loads(line)
