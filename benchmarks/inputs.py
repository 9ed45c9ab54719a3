"""Random images and metrics of a case, for the contestants that run on torch."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

PATCH_SIZE = 3
RADIAL_PATCH_SIZE = 7


@dataclass(frozen=True)
class Inputs:
    """What a case is computed on.

    Attributes:
        x: images `(n, c, h, w)`.
        z: as many others, or None where the case has x with itself.
        feature_matrix: the metric M `(d, d)`, or None where the case has none.
        at: images at which an AGOP's gradients are taken, the first of x.
        dual_coef: `(n, outputs)`.
        share: the part of the case's pairs that these are.
    """

    x: Tensor
    z: Tensor | None
    feature_matrix: Tensor | None
    at: Tensor
    dual_coef: Tensor
    share: float


def inputs(settings: dict[str, Any]) -> Inputs:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    n, shape = settings["n"], settings["shape"]
    part = settings["part"] if settings["contestant"] != "convrfm" and settings["part"] else n
    d = shape[0] * PATCH_SIZE**2
    root = normal(d, d)
    metric = root @ root.T / d if settings["task"] in ("metric", "agop") else None
    x, z = normal(part, *shape), None if settings["with_itself"] else normal(part, *shape)
    coef = normal(part, settings["outputs"])
    return Inputs(x, z, metric, x[: settings["at"]], coef, (part / n) ** 2)
