"""Neural Tangents on the same card, beside this library: in a process of its own, which leaves the card's memory to both."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import torch

from ..cases import BEST, LARGE, PAPER, PLAIN, SMALL, Case
from ..environments import ROOT
from .clock import seconds
from .session import Line, Session
from .speed import work_of

MODULE = "benchmarks.work_neural_tangents"
MOST_SECONDS = 60.0  # of one case
CASES = [
    Case("metric", 4000, LARGE, 3, (PAPER, BEST), part=1000),
    Case("agop", 4000, LARGE, 3, (PAPER, BEST), part=5),
    Case("kernel", 2000, SMALL, 3, (PLAIN,)),
    Case("metric", 2000, SMALL, 3, (PAPER, BEST), part=1000),
]
TINY = [Case("kernel", 4, (1, 6, 6), 1, (PLAIN,))]


def neural_tangents(session: Session) -> Iterator[Line]:
    """The published sizes first; one line where it is not there."""
    missing = _asked(session, ["-c", f"import {MODULE}"])
    if missing.returncode:
        yield {"name": "Neural Tangents", "left_out": f"no JAX here has it: {_last_line(missing.stderr)}"}
        return
    for case in TINY if session.tiny else CASES:
        ours = seconds(work_of(session, case.task, case.n, case.shape, case.depth), session.device)
        if session.device.type == "cuda":
            torch.cuda.empty_cache()
        for contestant in case.contestants:
            yield {"name": f"{case.name}, {contestant}", "convrfm_seconds": ours, **_theirs(session, case, contestant)}


def _theirs(session: Session, case: Case, contestant: str) -> Line:
    """What its process tells after a call that warms up and one that counts."""
    try:
        said = _asked(session, ["-m", MODULE, json.dumps(case.settings(contestant))])
    except subprocess.TimeoutExpired:
        return {"left_out": f"not done within {MOST_SECONDS:.0f} s"}
    if said.returncode:
        return {"left_out": _last_line(said.stderr)}
    first, counted = map(json.loads, said.stdout.splitlines())
    return {"seconds": counted["seconds"], "share": first["share"]}


def _asked(session: Session, arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    """One turn of a process that takes no memory before it needs it, on the same device and in full single precision."""
    own = {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
        "JAX_PLATFORMS": session.device.type,
        "JAX_DEFAULT_MATMUL_PRECISION": "float32",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        input="go\n",
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | own,
        timeout=MOST_SECONDS,
        check=False,
    )


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1]
