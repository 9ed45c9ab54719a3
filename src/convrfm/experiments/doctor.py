"""What this machine offers to convrfm."""

import importlib.util
import os
import platform

import torch

from ..kernels import NTK, vanilla
from ..kernels.engines.choice import explain_engines
from .fit_run import versions

OPTIONAL = {"torchvision": "vision", "timm": "vision", "dask": "distributed", "zarr": "distributed", "triton": "cuda"}


def findings(device: str) -> list[tuple[str, str]]:
    """Names and findings, a line each: engines, threads, GPU, versions, optional libraries; "auto" for all devices."""
    devices = [torch.device("cpu")] + [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    if device != "auto":
        devices = [d for d in devices if str(d).startswith(device)]
    rows = [(f"engine on {d}", engines_on(d)) for d in devices]
    rows.append(("threads", f"{torch.get_num_threads()} of {os.cpu_count()} processors"))
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    rows.append(("GPU", ", ".join(names) or "none that torch can use"))
    rows.append(("machine", platform.platform()))
    rows += list(versions().items())
    for name, extra in OPTIONAL.items():
        present = importlib.util.find_spec(name) is not None
        rows.append((name, "present" if present else f'absent; pip install "convrfm[{extra}]"'))
    return rows


def engines_on(device: torch.device) -> str:
    """Which engine "auto" takes there for the paper's networks, and why no other."""
    answers = explain_engines(NTK(vanilla(depth=3)).recursion, device, torch.float32)
    chosen = next(name for name, obstacle in answers.items() if obstacle is None)
    others = [f"{name}: {obstacle or 'serves, but is slower'}" for name, obstacle in answers.items() if name != chosen]
    return "; ".join([chosen, *others])
