"""(a) The cuda engine in float32 against the reference engine in float64, and golden values."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.kernels import ABReLU, Architecture, AvgPool, Conv, Flatten, GlobalAvgPool, LeakyReLU, ReLU
from convrfm.kernels.engines.cuda.blocks import MEASURED, PROGRAMS, WARPS
from convrfm.kernels.infinite import InfiniteWidthKernel
from tests.kernels.test_golden import DESCRIPTIONS, GOLDEN, layers_of

from .session import Line, Session

CASES: dict[str, InfiniteWidthKernel] = {
    "depth 3": kernels.NTK(kernels.vanilla(3)),
    "depth 1": kernels.NTK(kernels.vanilla(1)),
    "depth 5": kernels.NTK(kernels.vanilla(5)),
    "NNGP, depth 3": kernels.NNGP(kernels.vanilla(3)),
    "same padding, biases, other slopes": kernels.NTK(
        Architecture(
            Conv(3, 1.2, 0.3, "same"), LeakyReLU(0.1), Conv(2, 1.1, 0.2), ReLU(), Conv(5, 1.0, 0.1, "same"),
            ABReLU(-0.2, 1.0), Flatten(1.1, 0.2),
        )
    ),
    "stride and circular padding": kernels.NTK(
        Architecture(Conv(3, padding="circular"), ReLU(), Conv(3, 1.1, 0.2, "circular", 2), ReLU(), Flatten())
    ),
    "Erf": kernels.NTK(Architecture(Conv(3, 1.2, 0.3), kernels.Erf(), Conv(3, 1.1, 0.2), kernels.Erf(), Flatten())),
    "GELU": kernels.NTK(Architecture(Conv(3, 1.2, 0.3), kernels.GELU(), Conv(3, 1.1, 0.2), kernels.GELU(), Flatten())),
    "pooling": kernels.NTK(
        Architecture(Conv(3, padding="same"), ReLU(), AvgPool(2), Conv(3, padding="same"), ReLU(), AvgPool(2), Flatten())
    ),
    "global pooling": kernels.NTK(Architecture(Conv(3), ReLU(), Conv(3), ReLU(), GlobalAvgPool())),
}  # fmt: skip


def correctness(session: Session) -> Iterator[Line]:
    """Relative errors, in the norm of each result."""
    for name, kernel in list(CASES.items())[1:2] if session.tiny else CASES.items():
        yield {"name": name, **_errors(session, kernel)}
    torch.backends.cuda.matmul.allow_tf32 = True
    yield {"name": "depth 1, TF32 allowed", **_errors(session, CASES["depth 1"])}
    torch.backends.cuda.matmul.allow_tf32 = False
    yield from _cut_otherwise(session)
    yield from _golden(session)


def _errors(session: Session, kernel: InfiniteWidthKernel) -> Line:
    """At images with zero patches and equal ones, under a metric of less than full rank; kernels at nearly equal ones too.

    The gradient of a nearly equal image has a cusp within single precision.
    """
    side, n, m = (7, 3, 3) if session.tiny else (16, 24, 40)
    if kernel.architecture.couples_positions:
        side, n, m = (5, 2, 2) if session.tiny else (12, 6, 8)
    generator = torch.Generator().manual_seed(0)
    x, z = (torch.randn(count, 2, side, side, generator=generator) for count in (n, m))
    x[0, :, : side // 2] = 0
    z[0] = x[1]
    z[-1] = x[0] + 1e-4 * z[-1]
    coef = torch.randn(m - 1, 3, generator=generator)
    d = 2 * kernel.patch_size**2
    root = torch.randn(d, d - 3, generator=generator).double()
    exact = [value.to(session.device).double() for value in (x, z, coef, root @ root.T / d)]
    found = _results(replace(kernel, engine="cuda"), *(value.float() for value in exact))
    expected = _results(replace(kernel, engine="reference"), *exact)
    errors = {what: _distance(found[what], expected[what]) for what in expected}
    return {**errors, "worst": max(errors.values())}


def _results(kernel: InfiniteWidthKernel, x: Tensor, z: Tensor, coef: Tensor, M: Tensor) -> dict[str, Tensor]:
    signs = torch.Generator().manual_seed(1)
    return {
        "kernel": kernel(x, z),
        "metric": kernel(x, z, feature_matrix=M),
        "symmetric": kernel(x, feature_matrix=M),
        "diagonal": kernel.diagonal(x, feature_matrix=M),
        "gradients": kernel.patch_gradients(x, z[:-1], coef, feature_matrix=M),
        "agop": kernel.agop(x, z[:-1], coef, feature_matrix=M),
        "probes": kernel.agop(x, z[:-1], coef, probes=2, generator=signs),
    }


def _distance(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).norm() / expected.norm())


def _cut_otherwise(session: Session) -> Iterator[Line]:
    """Whether the number of warps changes a bit."""
    side, n = (6, 2) if session.tiny else (32, 256)
    x = torch.randn(n, 1, side, side, generator=torch.Generator().manual_seed(0)).to(session.device)
    kernel, coef = kernels.NTK(kernels.vanilla(1 if session.tiny else 3), engine="cuda"), torch.ones(n, 1).to(x)
    results = []
    for warps in WARPS[:2] if session.tiny else WARPS:
        cuts = MEASURED.of_warps(dict.fromkeys(PROGRAMS, warps))
        with patch("convrfm.kernels.engines.cuda.engine.cuts_here", return_value=cuts):
            results.append({"symmetric": kernel(x), "agop": kernel.agop(x, x, coef)})
        errors = {what: _distance(found, results[0][what].double()) for what, found in results[-1].items()}
        if warps != WARPS[0]:
            yield {"name": f"{warps} warps against {WARPS[0]}", **errors, "worst": max(errors.values())}


def _golden(session: Session) -> Iterator[Line]:
    """What Neural Tangents computed for the paper's networks."""
    for shape in ("1x8x8", "3x10x8"):
        values = {
            name: torch.from_numpy(value).double() for name, value in np.load(GOLDEN / f"kernels_{shape}.npz").items()
        }
        few = 2 if session.tiny else None
        x, z, M = (values[name].float().to(session.device)[:of] for name, of in (("X", few), ("Z", few), ("M3", None)))
        for depth, metric in product((1,) if session.tiny else (1, 2, 3), (None, M)):
            name = f"d{depth}_q3_VALID_flatten_relu"
            key = f"{name}__M{int(metric is not None)}__ntk_xz"
            kernel = kernels.NTK(layers_of(DESCRIPTIONS[name]), engine=session.engine)
            found = kernel(x, z, feature_matrix=metric).cpu()
            yield {"name": f"golden {shape} {key}", "worst": _distance(found, values[key][:few, :few])}
