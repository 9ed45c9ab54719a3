"""What this machine offers to convrfm, and whether its engines agree."""

import importlib.util
import os
import platform
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import cast

import torch

from ..errors import MissingDependencyError
from ..kernels import NTK, vanilla
from ..kernels.devices import chosen_device
from ..kernels.engines.choice import explain_engines
from ..kernels.infinite import EngineName
from ..optional import imported
from ..report.versions import versions

OPTIONAL = {
    "torchvision": "vision",
    "timm": "vision",
    "gpytorch": "gp",
    "mapie": "conformal",
    "triton": "cuda",
    "pyarrow": "parquet",
    "zarr": "large",
    "distributed": "cluster",
}
KERNEL = NTK(vanilla(depth=3))
TOLERANCE = 1e-3  # of the largest entry; float32 is good to about 1e-5


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's; `sound` is False where something is wrong and not merely absent."""

    name: str
    text: str
    sound: bool = True


def findings(device: str, seed: int) -> list[Finding]:
    """Engines and their agreement, threads, GPU, versions, optional libraries.

    Args:
        device: the beginning of the devices' names; "auto" for all.
        seed: of the images at which engines are compared.

    Raises:
        InputError: if torch cannot use that device on this machine.
    """
    devices = [torch.device("cpu")] + [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    if device != "auto":
        chosen = chosen_device(device)
        devices = [d for d in devices if str(d).startswith(device)] or [chosen]
    rows = [Finding(f"engine on {d}", engines_on(d)) for d in devices]
    rows += [found for d in devices for found in agreements(d, seed)]
    rows.append(Finding("threads", f"{torch.get_num_threads()} of {os.cpu_count()} processors"))
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    rows.append(Finding("GPU", ", ".join(names) or "none that torch can use"))
    rows.append(Finding("machine", platform.platform()))
    rows += [Finding(name, text) for name, text in versions().items()]
    for name, extra in OPTIONAL.items():
        rows.append(Finding(name, optional_library(name, extra)))
    return rows


def optional_library(name: str, extra: str) -> str:
    """Its version; that it is absent, as where a folder has its name; or why it does not load, although it is installed."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return f'absent; pip install "convrfm[{extra}]"'
    try:
        library = imported(name, extra)
    except MissingDependencyError as error:
        return str(error)
    try:
        return version(name)
    except PackageNotFoundError:  # of a distribution of another name, such as pytorch-triton
        return str(getattr(library, "__version__", "installed"))


def engines_on(device: torch.device) -> str:
    """Which engine "auto" takes there for the paper's networks, and why no other."""
    answers = explain_engines(KERNEL.recursion, device, torch.float32)
    chosen = next(name for name, obstacle in answers.items() if obstacle is None)
    others = [f"{name}: {obstacle or 'serves, but is slower'}" for name, obstacle in answers.items() if name != chosen]
    return "; ".join([chosen, *others])


def agreements(device: torch.device, seed: int) -> list[Finding]:
    """Every engine that serves there, in float32, against the reference in float64 on the CPU: kernel and AGOP."""
    generator = torch.Generator().manual_seed(seed)
    x, z = (torch.randn(n, 3, 12, 12, generator=generator, dtype=torch.float64) for n in (3, 20))
    coef = torch.randn(20, 2, generator=generator, dtype=torch.float64)
    exact = replace(KERNEL, engine="reference")
    expected = [exact(x, z), exact.agop(x, z, coef)]
    rows = []
    for name, obstacle in explain_engines(KERNEL.recursion, device, torch.float32).items():
        if obstacle is None:
            kernel = replace(KERNEL, engine=cast(EngineName, name))
            a, b, c = (t.to(device, torch.float32) for t in (x, z, coef))
            found = [kernel(a, b), kernel.agop(a, b, c)]
            errors = [
                float((f.double().cpu() - e).abs().max() / e.abs().max()) for f, e in zip(found, expected, strict=True)
            ]
            sound = all(error < TOLERANCE for error in errors)
            text = f"errors of kernel and AGOP at random images: {errors[0]:.0e}, {errors[1]:.0e} of the largest entry"
            rows.append(Finding(f"{name} engine on {device}", f"{'sound' if sound else 'WRONG'}; {text}", sound))
    return rows
