"""Families of architectures, and a small member of each."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

Build = Callable[[], nn.Module]
CLASSES = 3


def families() -> dict[str, list[tuple[str, Build]]]:
    """The architectures of every family: a file of timm, a file of torchvision's models."""
    return {**dict(_of_timm()), **_of_torchvision()}


SMALL = re.compile(
    "test|tiny|nano|pico|femto|atto|zepto|small|mini|lite|light|x+s|micro|_s|_ti|_t|[bstml]0", re.IGNORECASE
)
"""How names of architectures say that they are small."""
SHORTENED = {"deepseek_vit_412m": 2, "gemma4_vit_167m_enc": 2}
"""Blocks of those whose smallest member is too large."""


def smallest(members: list[tuple[str, Build]]) -> tuple[str, Build]:
    """The one with the fewest parameters, of sixteen, first those whose names say that they are small; on no device."""
    members = sorted(members, key=lambda member: not SMALL.search(member[0]))[:16]

    def size(member: tuple[str, Build]) -> float:
        try:
            with torch.device("meta"):
                return sum(parameter.numel() for parameter in member[1]().parameters())
        except Exception:  # some cannot be built without values
            return float("inf")

    return min(members, key=size)


def _of_timm() -> Iterator[tuple[str, list[tuple[str, Build]]]]:
    import timm

    for module in timm.list_modules():
        names = timm.list_models(module=module)
        if names:
            yield f"timm {module}", [_member(name) for name in names]


def _member(name: str) -> tuple[str, Build]:
    if name not in SHORTENED:
        return name, partial(_small, name)
    return f"{name} of {SHORTENED[name]} blocks", partial(_small, name, depth=SHORTENED[name])


def _small(name: str, **options: Any) -> nn.Module:
    """For small images, where an architecture is built for a size."""
    import timm

    for size in (64, 96, 112, 128):
        try:
            network = timm.create_model(name, num_classes=CLASSES, img_size=size, **options).eval()
            with torch.no_grad():
                network(torch.zeros(1, 3, size, size))
            return network
        except Exception:  # whatever an architecture says to an argument or a size that it does not know
            continue
    return timm.create_model(name, num_classes=CLASSES, **options)


def _of_torchvision() -> dict[str, list[tuple[str, Build]]]:
    from torchvision import models

    found: dict[str, list[tuple[str, Build]]] = {}
    for name in models.list_models():
        build = models.get_model_builder(name)
        if "quantization" not in build.__module__ and "detection" not in build.__module__:
            family = build.__module__.removeprefix("torchvision.models.")
            options: dict[str, Any] = {"init_weights": False} if family in ("googlenet", "inception") else {}
            if "segmentation" in family:
                options = {"weights_backbone": None}
            if "mvit" in family:
                build = partial(_of_short_clips, build)
            if "optical_flow" not in family:
                options["num_classes"] = CLASSES
            found.setdefault(f"torchvision {family}", []).append((name, partial(build, weights=None, **options)))
    return found


def _of_short_clips(build: Callable[..., nn.Module], **options: Any) -> nn.Module:
    """For clips of four frames of 64 x 64, where builders fix sixteen of 224 x 224."""
    from torchvision.models.video import mvit

    fixed = mvit._mvit
    with patch.object(mvit, "_mvit", lambda **given: fixed(**{**given, "spatial_size": (64, 64), "temporal_size": 4})):
        return build(**options)
