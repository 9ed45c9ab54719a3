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
CNN_GP = "git+https://github.com/cambridge-mlg/cnn-gp@c9260e6cf40e61d2e5b863bbdae32b46e52bd822"
MODULES = {
    "convrfm": "work_convrfm",
    "torch-einsum": "work_einsum",
    "torch-cdist": "work_cdist",
    "torch-autograd": "work_autograd",
    "cnn-gp": "work_cnn_gp",
    "peak": "work_peak",
}


def python_of(contestant: str) -> str:
    """The interpreter that runs a contestant."""
    if contestant.startswith("nt-"):
        return str(_neural_tangents() / "bin/python")
    return sys.executable


def module_of(contestant: str) -> str:
    return f"benchmarks.{MODULES.get(contestant, 'work_neural_tangents')}"


def variables(contestant: str) -> dict[str, str]:
    """The same for all; threads that wait give up their core, or any other process on the machine stalls them."""
    places = [ROOT, ROOT / "src"]
    if contestant == "cnn-gp":
        places.append(cnn_gp())
    own = {"PYTHONPATH": ":".join(map(str, places)), "JAX_PLATFORMS": "cpu", "OMP_WAIT_POLICY": "passive"}
    return {**os.environ, **own}


def cnn_gp() -> Path:
    """A folder with cnn-gp, which runs on our torch; the variable CNN_GP names another source for pip than GitHub."""
    place = PEERS / "cnn-gp"
    if not place.exists():
        _pip(sys.executable, "--no-deps", "--target", str(place), os.environ.get("CNN_GP", CNN_GP))
    return place


def _neural_tangents() -> Path:
    place = PEERS / "nt"
    if not (place / "ok").exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        for packages in NEURAL_TANGENTS:
            _pip(str(place / "bin/python"), *packages)
        (place / "ok").touch()
    return place


def _pip(python: str, *arguments: str) -> None:
    subprocess.run([python, "-m", "pip", "install", "-q", *arguments], check=True)
