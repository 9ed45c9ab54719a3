"""Each peer in an environment of its own under .bench/, made when it is missing."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".bench"
NEURAL_TANGENTS = [
    ["jax==0.5.3", "jaxlib==0.5.3", "frozendict", "scipy"],
    ["--no-deps", "neural-tangents==0.6.5"],  # it asks for packages that its kernels do not use
]


def python_of(contestant: str) -> str:
    """The interpreter that runs a contestant."""
    if not contestant.startswith("nt-"):
        return sys.executable
    place = PEERS / "nt"
    if not (place / "ok").exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        for packages in NEURAL_TANGENTS:
            subprocess.run([str(place / "bin/python"), "-m", "pip", "install", "-q", *packages], check=True)
        (place / "ok").touch()
    return str(place / "bin/python")


def module_of(contestant: str) -> str:
    return "benchmarks.work_neural_tangents" if contestant.startswith("nt-") else "benchmarks.work_convrfm"


def variables() -> dict[str, str]:
    """The same for all; threads that wait give up their core, or any other process on the machine stalls them."""
    own = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "JAX_PLATFORMS": "cpu", "OMP_WAIT_POLICY": "passive"}
    return {**os.environ, **own}
