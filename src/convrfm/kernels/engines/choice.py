"""Which engine serves a kernel on a device."""

import functools
import importlib.util
import logging

import torch

from ...errors import InputError, MissingDependencyError
from ..recursion.recursion import Recursion
from .cpu.engine import CpuEngine
from .protocol import Engine
from .reference import ReferenceEngine

FASTEST_FIRST = ("cuda", "cpu", "reference")
TRITON_MISSING = 'it needs Triton: pip install "convrfm[cuda]".'


def choose_engine(name: str, recursion: Recursion, device: torch.device, dtype: torch.dtype) -> Engine:
    """The engine of this name; "auto" takes the fastest one that serves the kernel on the device.

    Raises:
        InputError: if there is no such engine, or it does not serve the kernel there.
        MissingDependencyError: if it needs a library that is not installed.
    """
    if name == "auto":
        if device.type == "cuda" and not _has_triton():
            _say_once(f"the cuda engine is not used: {TRITON_MISSING}")
        return _engine(next(n for n, obstacle in explain_engines(recursion, device, dtype).items() if obstacle is None))
    if name not in FASTEST_FIRST:
        raise InputError(f"engine must be one of {('auto', *FASTEST_FIRST)}; got {name!r}.")
    if name == "cuda" and not _has_triton():
        raise MissingDependencyError(f'engine="cuda": {TRITON_MISSING}')
    obstacle = _engine(name).obstacle(recursion, device, dtype)
    if obstacle is not None:
        raise InputError(f'engine="{name}" cannot serve this kernel: {obstacle} Pass engine="auto".')
    return _engine(name)


def explain_engines(recursion: Recursion, device: torch.device, dtype: torch.dtype) -> dict[str, str | None]:
    """For every engine, the fastest first, None where it serves the kernel, otherwise why not; "auto" takes the first.

    Under Triton's interpreter, which is for tests, the cuda engine serves only when it is asked for by name.
    """
    answers: dict[str, str | None] = {}
    for name in FASTEST_FIRST:
        if name == "cuda" and device.type != "cuda":
            answers[name] = f"it runs on a GPU, and the images are on {device}."
        elif name == "cuda" and not _has_triton():
            answers[name] = TRITON_MISSING
        else:
            answers[name] = _engine(name).obstacle(recursion, device, dtype)
    return answers


def _engine(name: str) -> Engine:
    if name == "cuda":
        from .cuda.engine import CudaEngine  # imports Triton, which is optional

        return CudaEngine()
    return CpuEngine() if name == "cpu" else ReferenceEngine()


def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


@functools.cache
def _say_once(notice: str) -> None:
    logging.getLogger("convrfm").warning(notice)
